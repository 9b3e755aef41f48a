import { describe, expect, it } from 'vitest'
import type { NewSpan } from '../../src/trace/trace.ts'
import { createTracer, type TracerOptions } from '../../src/trace/tracer.ts'
import { type Collector, startCollector } from './collector.ts'

const parent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
const aSpan = (more: Partial<NewSpan> = {}): NewSpan => ({
  name: 'PullImage',
  kind: 'server',
  startMs: 1_700_000_000_000.25,
  attributes: { text: 'x', whole: 3, part: 0.5, yes: true },
  ...more,
})

function tracerFor({ endpoint }: Pick<Collector, 'endpoint'>, more: Partial<TracerOptions> = {}) {
  const counts = { sent: 0, dropped: 0 }
  const errors: string[] = []
  const changed = new Set<() => void>()
  const tracer = createTracer({
    settings: {
      url: new URL(`${endpoint}/v1/traces`),
      headers: { authorization: 'Bearer canary' },
      timeoutMs: 5_000,
      serviceName: 'windlass',
      resource: { 'k8s.node.name': 'n1' },
      sampler: { isParentBased: true, ratio: 1 },
    },
    version: '1.2.3',
    host: 'node-1',
    everyMs: 5,
    onSpans: (outcome, count) => {
      counts[outcome] += count
      for (const look of changed) look()
    },
    onError: (error) => errors.push(error.message),
    ...more,
  })
  const settled = (count: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (counts.sent + counts.dropped >= count) resolve()
      }
      changed.add(look)
      look()
    })
  return { tracer, counts, errors, settled, [Symbol.asyncDispose]: () => tracer[Symbol.asyncDispose]() }
}

describe('spans', () => {
  it('arrive as OTLP, below the caller’s, with their parts and what else they were for', async () => {
    await using collector = await startCollector()
    await using under = tracerFor(collector)
    const span = under.tracer.start(aSpan({ parent }))
    // A part of what another pull began is no longer than what it is a part of.
    span?.part({ name: 'layer', startMs: 1_600_000_000_000, endMs: 1_700_000_000_500, attributes: {} })
    span?.link(`00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`)
    span?.link('nonsense')
    span?.end({ endMs: 1_700_000_001_000, attributes: { result: 'failed' }, error: 'no such image' })
    const [whole] = await collector.until('PullImage', 1)
    const [part] = await collector.until('layer', 1)
    expect(collector.problems).toEqual([])
    expect(whole).toEqual({
      traceId: 'a'.repeat(32),
      parentSpanId: 'b'.repeat(16),
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
      name: 'PullImage',
      kind: 2,
      startTimeUnixNano: '1700000000000250000',
      endTimeUnixNano: '1700000001000000000',
      attributes: { text: 'x', whole: '3', part: 0.5, yes: true, result: 'failed' },
      links: [{ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16) }],
      status: { code: 2, message: 'no such image' },
    })
    expect(part).toMatchObject({
      traceId: whole?.traceId,
      parentSpanId: whole?.spanId,
      kind: 1,
      startTimeUnixNano: whole?.startTimeUnixNano,
      endTimeUnixNano: '1700000000500000000',
    })
    expect(collector.resources[0]).toEqual({
      'host.name': 'node-1',
      'k8s.node.name': 'n1',
      'service.name': 'windlass',
      'service.version': '1.2.3',
    })
    expect(collector.requests[0]?.headers.authorization).toBe('Bearer canary')
  })

  it('begin a trace of their own without a caller, and are none where it is not recorded', async () => {
    await using collector = await startCollector()
    await using under = tracerFor(collector)
    expect(under.tracer.start(aSpan({ parent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` }))).toBeUndefined()
    under.tracer.start(aSpan({ parent: 'nonsense' }))?.end({ endMs: 1_700_000_001_000, attributes: {} })
    const [span] = await collector.until('PullImage', 1)
    expect(span?.parentSpanId).toBeUndefined()
    expect(span?.traceId).not.toBe('a'.repeat(32))
  })

  it('hang on so many other traces and no more', async () => {
    await using collector = await startCollector()
    await using under = tracerFor(collector)
    const span = under.tracer.start(aSpan())
    for (let i = 0; i < 200; i++) span?.link(parent)
    span?.end({ endMs: 1_700_000_001_000, attributes: {} })
    expect((await collector.until('PullImage', 1))[0]?.links).toHaveLength(32)
  })
})

describe('sending', () => {
  const end = ({ tracer }: ReturnType<typeof tracerFor>, count: number): void => {
    for (let i = 0; i < count; i++) tracer.start(aSpan())?.end({ endMs: 1_700_000_001_000, attributes: {} })
  }

  it.each([429, 502, 503, 504])('is tried again after %d, when it is told to', async (status) => {
    await using collector = await startCollector()
    collector.answer = (request) => (request === 1 ? { status, headers: { 'retry-after': '0' } } : undefined)
    await using under = tracerFor(collector)
    end(under, 1)
    await under.settled(1)
    expect(under.counts).toEqual({ sent: 1, dropped: 0 })
    expect(under.errors).toEqual([expect.stringContaining(`answered ${status}`)])
  })

  it('is not tried again where the collector refuses: those spans are lost, and counted', async () => {
    await using collector = await startCollector()
    collector.answer = () => ({ status: 400 })
    await using under = tracerFor(collector)
    end(under, 3)
    await under.settled(3)
    expect(under.counts).toEqual({ sent: 0, dropped: 3 })
    expect(collector.requests).toHaveLength(1)
  })

  it('counts what the collector says it has not taken', async () => {
    await using collector = await startCollector()
    collector.answer = () => ({ body: JSON.stringify({ partialSuccess: { rejectedSpans: '2', errorMessage: 'too old' } }) })
    await using under = tracerFor(collector)
    end(under, 3)
    await under.settled(3)
    expect(under.counts).toEqual({ sent: 1, dropped: 2 })
  })

  it('never holds more than it may, and keeps nobody waiting for a collector that does not answer', async () => {
    await using collector = await startCollector()
    const { promise: never, resolve } = Promise.withResolvers<void>()
    collector.answer = () => ({ hold: never })
    const under = tracerFor(collector)
    const started = performance.now()
    end(under, 10_000)
    expect(performance.now() - started).toBeLessThan(2_000)
    // A batch is under way, and the queue behind it is full.
    expect(under.counts.dropped).toBeGreaterThanOrEqual(10_000 - 2_048 - 512)
    const stopping = performance.now()
    await under.tracer[Symbol.asyncDispose]()
    expect(performance.now() - stopping).toBeLessThan(4_000)
    expect(under.counts).toEqual({ sent: 0, dropped: 10_000 })
    resolve()
  })

  it('brings what is left when it ends', async () => {
    await using collector = await startCollector()
    const under = tracerFor(collector, { everyMs: 60_000 })
    end(under, 700)
    await under.tracer[Symbol.asyncDispose]()
    expect(collector.spans).toHaveLength(700)
    expect(under.counts).toEqual({ sent: 700, dropped: 0 })
    end(under, 1)
    expect(under.counts.dropped).toBe(1)
  })

  it('says that nobody listens without what it would have sent', async () => {
    const under = tracerFor({ endpoint: 'http://127.0.0.1:1' })
    end(under, 1)
    await under.tracer[Symbol.asyncDispose]()
    expect(under.counts.dropped).toBe(1)
    expect(under.errors.join()).toContain('127.0.0.1:1 cannot be reached: ECONNREFUSED')
    expect(under.errors.join()).not.toContain('canary')
  })
})
