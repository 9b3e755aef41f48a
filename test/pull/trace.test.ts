import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { PullEvent, Told } from '../../src/pull/pull.ts'
import { reportOf } from '../../src/pull/report.ts'
import { traceOf } from '../../src/pull/trace.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { openLab } from './lab.ts'

const whole = z.int().nonnegative()
const where = { name: z.string().min(1), pid: whole, tid: whole }
/** "Trace Event Format": complete, metadata, instant and counter events, as Perfetto's JSON importer reads them. */
const traceFile = z.strictObject({
  displayTimeUnit: z.enum(['ms', 'ns']),
  otherData: z.record(z.string(), z.string()),
  traceEvents: z.array(
    z.discriminatedUnion('ph', [
      z.strictObject({ ph: z.literal('X'), ...where, ts: whole, dur: whole, args: z.record(z.string(), z.unknown()) }),
      z.strictObject({ ph: z.literal('i'), ...where, ts: whole, s: z.enum(['g', 'p', 't']) }),
      z.strictObject({ ph: z.literal('C'), ...where, ts: whole, args: z.record(z.string(), z.number()) }),
      z.strictObject({
        ph: z.literal('M'),
        ...where,
        name: z.enum(['process_name', 'thread_name', 'thread_sort_index']),
        args: z.union([z.strictObject({ name: z.string() }), z.strictObject({ sort_index: z.number() })]),
      }),
    ]),
  ),
})
type Parsed = z.infer<typeof traceFile>['traceEvents'][number]
type Slice = Extract<Parsed, { ph: 'X' }>

const read = (...parts: Parameters<typeof traceOf>) => traceFile.parse(JSON.parse(JSON.stringify(traceOf(...parts)))).traceEvents
const slices = (events: readonly Parsed[]) => events.flatMap((event) => (event.ph === 'X' ? [event] : []))
const tracks = (events: readonly Parsed[]) =>
  events.flatMap((event) => (event.ph === 'M' && event.name === 'thread_name' && 'name' in event.args ? [event.args.name] : []))

/** Slices of one track must be beside or within each other: Perfetto drops the others. */
function crossing(all: readonly Slice[]): string[] {
  return all.flatMap((one) =>
    all
      .filter((other) => other.tid === one.tid && one.ts < other.ts)
      .filter((other) => other.ts < one.ts + one.dur && other.ts + other.dur > one.ts + one.dur)
      .map((other) => `${one.name} and ${other.name}`),
  )
}

/** Microseconds until the last slice ends in which there is none. */
function holesIn(all: readonly Slice[]): number {
  const inOrder = all.toSorted((one, other) => one.ts - other.ts)
  return inOrder.reduce(
    ({ end, holes }, { ts, dur }) => ({ end: Math.max(end, ts + dur), holes: holes + Math.max(0, ts - end) }),
    { end: 0, holes: 0 },
  ).holes
}

describe('the trace of a pull', () => {
  it('has a track for each layer, whose phases lie in the pull, in order, and do not cross', async () => {
    await using lab = await openLab()
    const layers = [400_000, 1_000, 300_000].map((size, at) =>
      buildLayer({ tar: [{ name: `f${at}`, content: randomBytes(size) }], compression: 'gzip' }),
    )
    const heard: Told[] = []
    const onEvent = (event: PullEvent, atMs: number) => void heard.push({ atMs, event })
    await lab.puller.pull(lab.publish('app:1', buildImage({ layers })), { signal: new AbortController().signal, onEvent })
    const told = heard.map(({ event }) => event)
    const report = reportOf({ reference: '', ms: 0 }, told)
    const { ms } = report
    const events = read(report, heard)

    const short = layers.map(({ descriptor }) => descriptor.digest.slice(7, 19))
    expect(tracks(events)).toEqual(['pull', ...short.map((digest, at) => `layer ${at + 1} ${digest}`)])
    const all = slices(events)
    expect(crossing(all)).toEqual([])
    for (const { ts, dur } of all) expect(ts + dur).toBeLessThanOrEqual(Math.ceil(ms * 1000))
    // From the very beginning, and from one step to the next without a hole.
    const [first, ...steps] = all.filter(({ tid }) => tid === 1)
    expect(first).toMatchObject({ name: 'pull', ts: 0, dur: Math.round(ms * 1000) })
    expect(steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['resolve', 'room', 'sync', 'publish']))
    const holes = holesIn(all.filter(({ name, tid }) => tid !== 1 || name !== 'pull'))
    expect(holes).toBeLessThan(ms * 1000 * 0.2)
    expect(all.some(({ tid, name }) => tid === 2 && name === 'start')).toBe(true)
    const ofFirst = all.filter(({ tid }) => tid === 2)
    const outer = ofFirst.find(({ name }) => name === 'fetch and unpack')
    const inner = ofFirst.filter(({ name }) => ['starved', 'inflate', 'hash', 'write'].includes(name))
    expect(inner.map(({ name }) => name)).toEqual(expect.arrayContaining(['hash', 'write']))
    expect(inner.reduce((sum, { dur }) => sum + dur, 0)).toBe(outer?.dur)
    const bytes = events.flatMap((event) => (event.ph === 'C' ? [event.args.bytes] : []))
    expect(bytes.at(-1)).toBe(layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0))
  })

  it('of a pull that was joined late, or failed, is one that can be read as well', async () => {
    const report = reportOf({ reference: 'r.example/app:1', ms: 1 }, [], {
      kind: 'denied',
      message: 'no',
    })
    const late: PullEvent = { type: 'sealed', syncMs: 400, publishMs: 20 }
    const events = slices(read(report, [{ atMs: 0.5, event: late }]))
    expect(crossing(events)).toEqual([])
    expect(events.map(({ name, ts }) => [name, ts])).toEqual([
      ['pull', 0],
      ['publish', 0],
    ])
    expect(events[0]?.args.failure).toEqual({ kind: 'denied', message: 'no' })
  })

  it('of a pull that failed ends with what was under way', () => {
    const waiting = { layer: 1, digest: `sha256:${'a'.repeat(64)}`, size: 100, bytes: 40, state: 'downloading', ms: 300 } as const
    const stopped = (more: Partial<Extract<PullEvent, { type: 'stopped' }>>): PullEvent => {
      const times = { ms: 500, step: 'layers', stepMs: 300, queuedMs: 100, tokenMs: 0 } as const
      return { type: 'stopped', ...times, layers: [], cause: 'no', ...more }
    }
    const ends = (event: PullEvent) =>
      slices(read(reportOf({ reference: '', ms: 0 }, [event], { kind: 'denied', message: 'no' }), [{ atMs: 500, event }]))
        .slice(1)
        .map(({ name, ts, dur, tid }) => [tid, name, ts / 1000, dur / 1000])
    expect(ends(stopped({ step: 'resolving', stepMs: 400 }))).toEqual([
      [1, 'queued', 0, 100],
      [1, 'resolve', 100, 400],
    ])
    expect(ends(stopped({ layers: [waiting] }))).toEqual([[3, 'downloading', 200, 300]])
  })
})
