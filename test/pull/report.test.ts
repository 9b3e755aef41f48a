import { randomBytes } from 'node:crypto'
import { appendFileSync, mkdtempDisposableSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { History } from '../../src/pull/history.ts'
import { silent } from '../../src/pull/log.ts'
import type { LayerReport, PullEvent } from '../../src/pull/pull.ts'
import { type PullReport, reportOf } from '../../src/pull/report.ts'
import { criticalPath, verdict } from '../../src/pull/verdict.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { openLab } from './lab.ts'

const layer: LayerReport = {
  origin: 'registry',
  host: 'r.example',
  blobSize: 1,
  diffSize: 1,
  entries: 1,
  whiteouts: 0,
  queuedMs: 1,
  startMs: 0,
  networkMs: 5,
  unpackMs: 15,
  waitMs: 5,
  inflateMs: 6,
  hashMs: 4,
  writeMs: 5,
  belowMs: 0,
  commitMs: 2,
  attempts: 1,
  warnings: [],
}
const here: LayerReport = { ...layer, origin: 'here', queuedMs: 0, waitMs: 0, inflateMs: 0, hashMs: 0, writeMs: 0, commitMs: 0 }
const times = { host: 'r.example', queuedMs: 0, resolveMs: 3, tokenMs: 1, roomMs: 0, layers: [layer], syncMs: 4, publishMs: 1 }

describe('the sentence about a pull', () => {
  it.each([
    ['the network', { layers: [{ ...layer, waitMs: 80 }] }, 'bottleneck: the network to r.example, layer 1 (75 %)'],
    ['inflating', { layers: [layer, { ...layer, inflateMs: 40, belowMs: 0 }] }, 'bottleneck: CPU, inflating layer 2 (62 %)'],
    ['hashing', { layers: [{ ...layer, hashMs: 40 }] }, 'bottleneck: CPU, hashing layer 1 (60 %)'],
    ['writing', { layers: [{ ...layer, writeMs: 70 }] }, 'bottleneck: unpacking the files of layer 1 (73 %)'],
    ['the sync', { syncMs: 300 }, 'bottleneck: the disk, syncing what was written (92 %)'],
    ['a token', { tokenMs: 100, resolveMs: 101 }, 'bottleneck: getting a token for r.example (78 %)'],
    ['resolving', { resolveMs: 101 }, 'bottleneck: r.example, resolving the reference (78 %)'],
    ['other pulls', { queuedMs: 500 }, 'bottleneck: waiting for other pulls to end (94 %)'],
    ['a worker', { layers: [{ ...layer, queuedMs: 70 }] }, 'bottleneck: waiting for a free worker, layer 1 (70 %)'],
    ['a worker’s start', { layers: [{ ...layer, startMs: 70 }] }, 'bottleneck: starting a worker, layer 1 (69 %)'],
    ['room', { roomMs: 100 }, 'bottleneck: making sure of room for the layers (76 %)'],
    ['nothing', { layers: [here] }, 'nothing had to move'],
  ])('names %s', (_, more, sentence) => {
    expect(verdict({ ...times, ...more })).toBe(sentence)
  })

  it('is about the layer that the others waited for, not the one that worked longest', () => {
    const base = { ...layer, waitMs: 50 }
    const top = { ...layer, inflateMs: 49, belowMs: 12 }
    expect(verdict({ ...times, layers: [base, top] })).toContain('the network to r.example, layer 1')
    const path = criticalPath({ ...times, layers: [base, top] })
    expect(path.find(({ text }) => text.includes('place'))?.ms).toBe(4)
    expect(path.some(({ text }) => text.includes('layer 2'))).toBe(false)
  })
})

describe('the report of a pull', () => {
  const written = (): { reports: PullReport[]; logged: object[]; parts: object } => {
    const [reports, logged]: [PullReport[], object[]] = [[], []]
    const log = { info: (fields: object) => void logged.push(fields), warn: (fields: object) => void logged.push(fields) }
    return { reports, logged, parts: { log, history: { add: (report: PullReport) => void reports.push(report) } } }
  }

  it('accounts for the worker’s time, is the same for a listener, and its sentence is in the log', async () => {
    const { reports, logged, parts } = written()
    await using lab = await openLab(parts)
    const tar = [{ name: 'a', content: randomBytes(3_000_000) }]
    const image = buildImage({ layers: [buildLayer({ tar, compression: 'gzip' }), buildLayer({ tar: [{ name: 'b' }] })] })
    const { events } = await lab.pull(lab.publish('app:1', image))
    const [report] = reports
    if (report === undefined) throw new Error('none was written down')
    expect(report).toMatchObject({
      client: 'cli',
      imageId: image.id,
      host: lab.registry.host,
      layerCount: 2,
      platform: 'linux/amd64',
    })
    expect(report.layers.map(({ digest }) => digest)).toEqual(image.layers.map(({ descriptor }) => descriptor.digest))
    const [large] = report.layers
    if (large === undefined) throw new Error('it has no layer')
    expect(large.inflateMs).toBeGreaterThan(0)
    expect(large.hashMs).toBeGreaterThan(0)
    expect(large.writeMs).toBeGreaterThan(0)
    expect(large.inflateMs + large.hashMs + large.writeMs).toBeCloseTo(large.unpackMs, 3)
    expect(large.commitMs).toBeGreaterThan(0)
    // This registry has no tokens.
    expect(report.tokenMs).toBe(0)
    expect(criticalPath(report).some(({ text }) => text.includes('token'))).toBe(false)
    const whole = criticalPath(report).reduce((sum, { ms }) => sum + ms, 0)
    // The worker had to be started for it, which takes longer than the rest.
    expect(large.startMs).toBeGreaterThan(0)
    expect(whole).toBeGreaterThan(report.ms * 0.8)
    expect(whole).toBeLessThan(report.ms * 1.2 + 20)
    expect(logged.at(-1)).toMatchObject({ pull: report.id, verdict: report.verdict })
    const heard = reportOf({ reference: 'as typed', ms: 0 }, events)
    expect(heard).toEqual(report)
  })

  it('of one that failed says how far it came, and why', async () => {
    const { reports, logged, parts } = written()
    await using lab = await openLab(parts)
    await lab.refusal({
      ...lab.publish('app:1', buildImage({ layers: [] })),
      reference: { registry: lab.registry.host, repository: 'none', tag: '1' },
    })
    expect(reports[0]).toMatchObject({ failure: { kind: 'manifest-unknown' }, layers: [], layerCount: 0 })
    expect(reports[0]?.verdict).toMatch(/^404 MANIFEST_UNKNOWN; failed after \d\.\d s, before it was resolved$/)
    expect(logged.at(-1)).toMatchObject({ verdict: reports[0]?.verdict })
  })

  it('of one that failed has the time of the step that was under way', async () => {
    const { reports, parts } = written()
    await using lab = await openLab(parts)
    const layer = buildLayer({ tar: [{ name: 'a', content: randomBytes(9_000) }] })
    const top = buildLayer({ tar: [{ name: 'top' }] })
    const request = lab.publish('app:1', buildImage({ layers: [layer, top] }))
    lab.registry.fault = ({ path }) => (path.includes('/manifests/') ? { kind: 'hold', until: delay(300) } : undefined)
    await lab.refusal({ ...request, reference: { ...request.reference, repository: 'none' } })
    expect(reports[0]?.resolveMs).toBeGreaterThan(290)
    expect(reports[0]?.ms).toBeGreaterThan(reports[0]?.resolveMs ?? 0)

    const { digest } = layer.descriptor
    const leaving = new AbortController()
    lab.registry.fault = ({ path }) => {
      if (!path.endsWith(digest)) return undefined
      setTimeout(() => leaving.abort(), 2_000)
      return { kind: 'hold', until: delay(60_000, undefined, { ref: false }) }
    }
    await expect(lab.pull(request, leaving.signal)).rejects.toThrow()
    await expect.poll(() => reports[1]).toMatchObject({ layerCount: 2, layers: [], failure: { kind: 'cancelled' } })
    expect(reports[1]?.unfinished).toMatchObject([
      { layer: 0, digest, state: 'downloading', bytes: 0 },
      { layer: 1, state: 'below', bytes: top.descriptor.size },
    ])
    expect(reports[1]?.unfinished[0]?.ms).toBeGreaterThan(1_900)
    expect(criticalPath(reports[1] ?? expect.fail()).at(-1)?.text).toBe('layer 1, downloading when it ended')
  })

  it('is in the pull’s own clock for who joins it late, too', async () => {
    await using lab = await openLab()
    const layer = buildLayer({ tar: [{ name: 'a', content: randomBytes(9_000) }] })
    const request = lab.publish('app:1', buildImage({ layers: [layer] }))
    const asked = Promise.withResolvers<void>()
    lab.registry.fault = ({ path }) => {
      if (!path.endsWith(layer.descriptor.digest)) return undefined
      asked.resolve()
      return { kind: 'hold', until: delay(400) }
    }
    const pulling = (told: [string, number][]) => {
      const onEvent = ({ type }: PullEvent, atMs: number): void => void (type === 'progress' || told.push([type, atMs]))
      return lab.puller.pull(request, { signal: new AbortController().signal, onEvent })
    }
    const [first, late]: [[string, number][], [string, number][]] = [[], []]
    const pulled = pulling(first)
    await asked.promise
    await delay(200)
    await Promise.all([pulled, pulling(late)])
    expect(late).toEqual(first)
    expect(late[0]).toEqual(['begun', 0])
  })

  it('tells the time it waited for others', async () => {
    const { reports, parts } = written()
    await using lab = await openLab({ ...parts, maxParallelPulls: 1 })
    const image = (name: string) => buildImage({ layers: [buildLayer({ tar: [{ name, content: randomBytes(2_000_000) }] })] })
    await Promise.all(['one', 'two'].map((name) => lab.pull(lab.publish(`${name}:1`, image(name)))))
    expect(reports[1]?.queuedMs).toBeGreaterThan((reports[0]?.ms ?? 0) / 2)
  })
})

describe('the history', () => {
  const open = (most?: number) => {
    const dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-history-'))
    onTestFinished(() => dir.remove())
    const file = join(dir.path, 'root', 'history.jsonl')
    return { file, history: new History(file, silent, most) }
  }
  const report = (id: string, more: Partial<PullReport> = {}): PullReport => ({
    ...reportOf({ reference: 'r.example/app:1', ms: 7 }, []),
    id,
    ...more,
  })
  const ids = (reports: readonly PullReport[]) => reports.map(({ id }) => id)

  it('is there for the next process, newest first, for root alone', async () => {
    const { file, history } = open()
    history.add(report('aa'))
    history.add(report('bb', { reference: 'r.example/other:1' }))
    await history[Symbol.asyncDispose]()
    const next = new History(file, silent)
    expect(ids(await next.list({ limit: 0 }))).toEqual(['bb', 'aa'])
    expect(ids(await next.list({ limit: 1 }))).toEqual(['bb'])
    expect(await next.list({ limit: 0, reference: 'r.example/app:1' })).toEqual([expect.objectContaining({ id: 'aa', ms: 7 })])
    await expect(next.list({ limit: 1, id: 'cc' })).rejects.toThrow(/windlass history/)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('of a repository has every tag and digest of it, and of no other', async () => {
    const { history } = open()
    const references = ['r.example/app:1', 'r.example/app:2', `r.example/app@sha256:${'a'.repeat(64)}`, 'r.example/app-two:1']
    for (const [at, reference] of references.entries()) history.add(report(`p${at}`, { reference }))
    expect(ids(await history.list({ limit: 0, reference: 'r.example/app' }))).toEqual(['p2', 'p1', 'p0'])
    expect(ids(await history.list({ limit: 0, reference: 'r.example/app:2' }))).toEqual(['p1'])
    expect(ids(await history.list({ limit: 0, reference: 'r.example/app:latest' }))).toEqual([])
  })

  it('reads what was written before there were more figures', async () => {
    const { file, history } = open()
    history.add(report('aa'))
    await history[Symbol.asyncDispose]()
    const { roomMs: _, unfinished: __, ...older } = report('bb')
    appendFileSync(file, `${JSON.stringify(older)}\n`)
    expect(await new History(file, silent).list({ limit: 1 })).toMatchObject([{ id: 'bb', roomMs: 0, unfinished: [] }])
  })

  it('loses no more than the line that a crash has cut off', async () => {
    const { file, history } = open()
    history.add(report('aa'))
    await history[Symbol.asyncDispose]()
    appendFileSync(file, '{"id":"bb","refer')
    const next = new History(file, silent)
    next.add(report('cc'))
    expect(ids(await next.list({ limit: 0 }))).toEqual(['cc', 'aa'])
  })

  it('has an end, in count and in age, and so has its file', async () => {
    const { file, history } = open(3)
    for (let at = 0; at < 20; at++) history.add(report(`p${at}`))
    expect(ids(await history.list({ limit: 0 }))).toEqual(['p19', 'p18', 'p17'])
    expect(readFileSync(file, 'utf8').trim().split('\n').length).toBeLessThan(6)
    history.add(report('old', { startedAtMs: Date.now() - 31 * 86_400_000 }))
    expect(ids(await history.list({ limit: 0 }))).not.toContain('old')
  })

  it('of images of many layers is shorter, and reading it holds up nobody', async () => {
    const { file, history } = open()
    const layers = Array.from({ length: 500 }, (_, at) => ({
      ...here,
      layer: at,
      digest: `sha256:${'a'.repeat(64)}`,
      warnings: [],
    }))
    for (let at = 0; at < 150; at++) history.add(report(`p${at}`, { layers }))
    expect(ids(await history.list({ limit: 2 }))).toEqual(['p149', 'p148'])
    expect(statSync(file).size).toBeLessThan(17_000_000)
    expect((await history.list({ limit: 0 })).length).toBeGreaterThan(20)
    expect(ids(await history.list({ limit: 0, id: 'p14' }))).toHaveLength(10)
    let turns = 0
    const next = (): void => {
      turns++
      immediate = setImmediate(next)
    }
    let immediate = setImmediate(next)
    await history.list({ limit: 0 })
    clearImmediate(immediate)
    expect(turns).toBeGreaterThan(20)
  })
})
