/** What a real daemon tells of its pulls: figures, traces, log. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { startCollector } from '../trace/collector.ts'
import { lacking } from './lacking.ts'
import { here, scrape } from './scrape.ts'
import { startWindlass, type Windlass } from './windlass.ts'

const temp = () => mkdtempDisposable(join(tmpdir(), 'windlass-seen-'))
const linesOf = ({ daemon }: Windlass): readonly Record<string, unknown>[] =>
  daemon
    .output()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

describe.skipIf(lacking('root'))('a daemon', () => {
  it('says two lines of each pull, with its id, and none of a poll', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'app', '1', buildImage({ platform: here, layers: [buildLayer({ tar: [{ name: 'a', content: 'a' }] })] }))
    await using dir = await temp()
    await using windlass = await startWindlass(dir.path, { signal })
    await windlass.daemon.line(/"msg":"ready"/, { signal })
    const before = linesOf(windlass).length
    const { image, windlass: control } = windlass.cri
    for (let i = 0; i < 20; i++) {
      await image.listImages({}, { signal })
      await image.imageStatus({ image: { image: 'r.example/none:1' } }, { signal })
      await image.imageFsInfo({}, { signal })
      await control.listPulls({}, { signal })
    }
    await image.pullImage({ image: { image: `${registry.host}/app:1` } }, { signal })
    await image.pullImage({ image: { image: `${registry.host}/none:1` } }, { signal }).catch(() => {})
    const lines = linesOf(windlass).slice(before)
    expect(lines.map(({ msg }) => msg)).toEqual(['pull started', 'pulled', 'pull started', 'pull failed'])
    const [first, second, third, fourth] = lines.map(({ pull }) => pull)
    expect([second, fourth]).toEqual([first, third])
    expect(first).toMatch(/^[0-9a-f]{8}$/)
    expect(third).not.toBe(first)
    for (const line of lines) expect(Object.keys(line)).not.toEqual(expect.arrayContaining(['pid', 'hostname']))
  })

  it('traces pulls below the caller’s span, to the collector that OpenTelemetry’s variables name', async ({ signal }) => {
    await using registry = await startRegistry()
    await using collector = await startCollector()
    const layers = ['a', 'b'].map((name) => buildLayer({ tar: [{ name, content: name }] }))
    publish(registry, 'app', '1', buildImage({ platform: here, layers }))
    await using dir = await temp()
    const env = {
      WINDLASS_METRICS_ADDRESS: '127.0.0.1:0',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20canary-collector',
      OTEL_RESOURCE_ATTRIBUTES: 'k8s.node.name=n1',
    }
    const windlass = await startWindlass(dir.path, { signal, env })
    const pull = (name: string, traceparent?: string) =>
      windlass.cri.image.pullImage(
        { image: { image: `${registry.host}/${name}` } },
        { signal, ...(traceparent === undefined ? {} : { metadata: { traceparent } }) },
      )
    await pull('app:1', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
    await pull('none:1').catch(() => {})
    // Its caller's trace is not recorded.
    await pull('app:1', `00-${'c'.repeat(32)}-${'d'.repeat(16)}-00`)
    const text = await scrape(windlass, { signal })
    await windlass[Symbol.asyncDispose]()

    expect(collector.problems).toEqual([])
    const [pulled, failed, ...more] = collector.spans.filter(({ name }) => name === 'PullImage')
    expect(more).toEqual([])
    expect(pulled).toMatchObject({
      traceId: 'a'.repeat(32),
      parentSpanId: 'b'.repeat(16),
      kind: 2,
      attributes: {
        'windlass.client': 'cri',
        'windlass.image.reference': `${registry.host}/app:1`,
        'windlass.result': 'pulled',
        'windlass.verdict': expect.stringMatching(/^bottleneck: /),
      },
    })
    const parts = collector.spans.filter(({ parentSpanId }) => parentSpanId === pulled?.spanId)
    // On a busy machine it has waited for its turn for a millisecond, and says so.
    const named = parts.map(({ name }) => name).filter((name) => name !== 'queue')
    expect(named).toEqual(['resolve', 'layer', 'layer', 'seal'])
    for (const part of parts) {
      expect(part.traceId).toBe(pulled?.traceId)
      expect(BigInt(part.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(pulled?.startTimeUnixNano ?? 0))
      expect(BigInt(part.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(pulled?.endTimeUnixNano ?? 0) + 2_000_000n)
    }
    expect(parts.filter(({ name }) => name === 'layer').map(({ attributes }) => attributes['windlass.layer.origin'])).toEqual([
      'registry',
      'registry',
    ])
    expect(failed).toMatchObject({ kind: 1, status: { code: 2 }, attributes: { 'error.type': 'manifest-unknown' } })
    expect(failed?.parentSpanId).toBeUndefined()
    // The step it has failed in is told, too.
    const ofFailed = collector.spans.filter(({ parentSpanId }) => parentSpanId === failed?.spanId)
    expect(ofFailed.map(({ name }) => name)).toEqual(['resolve'])
    expect(collector.resources[0]).toMatchObject({ 'service.name': 'windlass', 'k8s.node.name': 'n1' })
    // The log names the pull by the id that its span has.
    expect(windlass.daemon.output()).toContain(`"pull":"${pulled?.attributes['windlass.pull.id']}"`)
    expect(collector.requests[0]?.headers.authorization).toBe('Bearer canary-collector')
    for (const where of [text, windlass.daemon.output(), ...collector.requests.map(({ body }) => body)])
      expect(where).not.toContain('canary')
  })

  it('pulls as fast as ever where the collector does not answer, and ends in time', async ({ signal }) => {
    await using registry = await startRegistry()
    await using collector = await startCollector()
    const { promise: never, resolve } = Promise.withResolvers<void>()
    collector.answer = () => ({ hold: never })
    publish(registry, 'app', '1', buildImage({ platform: here, layers: [buildLayer({ tar: [{ name: 'a', content: 'a' }] })] }))
    await using dir = await temp()
    const windlass = await startWindlass(dir.path, { signal, env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint } })
    for (let i = 0; i < 50; i++) await windlass.cri.image.pullImage({ image: { image: `${registry.host}/app:1` } }, { signal })
    const started = performance.now()
    await windlass[Symbol.asyncDispose]()
    expect(performance.now() - started).toBeLessThan(9_000)
    resolve()
    await windlass.daemon.line(/"collector at|the collector at 127\.0\.0\.1:\d+ cannot be reached/, { signal })
  })
})
