/**
 * A pull on a timeline, in the Trace Event Format that Perfetto and chrome://tracing open: the pull's own track, one for each layer, and a
 * counter of the bytes that came. Made from what a listener was told, in the pull's own clock; a layer's phases are told once it has ended,
 * so they are laid out backwards from there.
 */
import type { LayerReport, PullEvent, PullStep, Told, UnfinishedLayer } from './pull.ts'
import type { PullReport } from './report.ts'

/** Times are in whole microseconds, as the format has them. */
type TraceEvent = {
  readonly ph: 'X' | 'M' | 'i' | 'C'
  readonly name: string
  readonly pid: number
  readonly tid: number
  readonly ts?: number
  readonly dur?: number
  /** Of an instant: on its track alone. */
  readonly s?: 't'
  readonly args?: Readonly<Record<string, unknown>>
}

export type Trace = {
  readonly displayTimeUnit: 'ms'
  readonly otherData: Readonly<Record<string, string>>
  readonly traceEvents: readonly TraceEvent[]
}

const PID = 1
/** Of the pull itself; layers have those above it. */
const PULL_TRACK = 1

export function traceOf(report: PullReport, heard: readonly Told[]): Trace {
  const { id, reference, startedAtMs, verdict } = report
  return {
    displayTimeUnit: 'ms',
    otherData: { ...(id === '' ? {} : { pull: id }), reference, startedAt: new Date(startedAtMs).toISOString(), verdict },
    traceEvents: [
      named('process_name', PULL_TRACK, { name: `windlass pull ${reference}` }),
      ...trackOf(PULL_TRACK, 'pull'),
      ...pullSlices(report, heard),
      ...report.layers.flatMap((layer) => layerTrack(layer.layer, layer.digest, heard)),
      ...report.unfinished.flatMap((layer) => unfinishedTrack(layer, report.ms)),
      ...bytesCounter(heard),
    ],
  }
}

function pullSlices({ ms, verdict, failure }: PullReport, heard: readonly Told[]): TraceEvent[] {
  const slices: TraceEvent[] = [slice(PULL_TRACK, 'pull', 0, ms, { verdict, ...(failure === undefined ? {} : { failure }) })]
  for (const { atMs, event } of heard) slices.push(...stepSlices(event, atMs))
  return slices.filter(({ dur }) => dur !== 0)
}

/** The name of a step in a trace, where what went on in it has no slices of its own. */
const STEP_NAMES: Readonly<Partial<Record<PullStep, string>>> = {
  queued: 'queued',
  resolving: 'resolve',
  room: 'room',
  sealing: 'seal',
}

/** An event tells of what has just ended. */
function stepSlices(event: PullEvent, atMs: number): TraceEvent[] {
  switch (event.type) {
    case 'resolved': {
      const from = atMs - event.ms
      return [
        slice(PULL_TRACK, 'queued', from - event.queuedMs, from),
        slice(PULL_TRACK, 'resolve', from, atMs, { host: event.host, tokenMs: event.tokenMs }),
      ]
    }
    case 'room':
      return [slice(PULL_TRACK, 'room', atMs - event.ms, atMs)]
    case 'sealed': {
      const synced = atMs - event.publishMs
      return [slice(PULL_TRACK, 'sync', synced - event.syncMs, synced), slice(PULL_TRACK, 'publish', synced, atMs)]
    }
    case 'stopped': {
      const { step, stepMs, queuedMs } = event
      const name = STEP_NAMES[step]
      return [
        ...(step === 'resolving' ? [slice(PULL_TRACK, 'queued', 0, queuedMs)] : []),
        ...(name === undefined ? [] : [slice(PULL_TRACK, name, atMs - stepMs, atMs)]),
      ]
    }
    default:
      return []
  }
}

function layerTrack(position: number, digest: string, heard: readonly Told[]): TraceEvent[] {
  const tid = trackOfLayer(position)
  const ended = heard.flatMap(({ atMs, event }) =>
    event.type === 'layer' && event.layer === position ? [{ atMs, report: event.report }] : [],
  )
  return [
    ...trackOf(tid, nameOfLayer(position, digest)),
    ...ended.flatMap(({ atMs, report }) =>
      report.origin === 'here' ? [instant(tid, 'here already', atMs)] : phases(tid, report, atMs),
    ),
  ]
}

/** What it was at when the pull failed; what was before that nobody has told. */
function unfinishedTrack({ layer, digest, state, bytes, size, ms }: UnfinishedLayer, end: number): TraceEvent[] {
  const tid = trackOfLayer(layer)
  return [...trackOf(tid, nameOfLayer(layer, digest)), slice(tid, state, end - ms, end, { unfinished: true, bytes, size })]
}

const trackOfLayer = (position: number): number => PULL_TRACK + 1 + position
const nameOfLayer = (position: number, digest: string): string =>
  `layer ${position + 1} ${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`

/** What went on in the worker by turns is told as sums, one after the other within the time that they fill. */
function phases(tid: number, report: LayerReport, end: number): TraceEvent[] {
  const { origin, host, blobSize, diffSize, entries, attempts, networkMs, unpackMs } = report
  const { queuedMs, startMs, waitMs, inflateMs, hashMs, writeMs, belowMs, commitMs } = report
  const committing = end - commitMs
  const unpacked = committing - belowMs
  const began = unpacked - waitMs - inflateMs - hashMs - writeMs
  const facts = { origin, ...(host === undefined ? {} : { host }), blobSize, diffSize, entries, attempts, networkMs, unpackMs }
  const sums = { note: 'the sum of many short times' }
  const hashing = began + waitMs + inflateMs
  return [
    slice(tid, 'queued', began - startMs - queuedMs, began - startMs),
    slice(tid, 'start', began - startMs, began),
    slice(tid, origin === 'copy' ? 'copy' : 'fetch and unpack', began, unpacked, facts),
    slice(tid, 'starved', began, began + waitMs, sums),
    slice(tid, 'inflate', began + waitMs, hashing, sums),
    slice(tid, 'hash', hashing, hashing + hashMs, sums),
    slice(tid, 'write', hashing + hashMs, unpacked, sums),
    slice(tid, 'below', unpacked, committing),
    slice(tid, 'commit', committing, end),
  ].filter(({ dur }) => dur !== 0)
}

/** Bytes of all layers, as they came. */
function bytesCounter(heard: readonly Told[]): TraceEvent[] {
  const bytes = new Map<number, number>()
  return heard.flatMap(({ atMs, event }) => {
    if (event.type === 'progress') bytes.set(event.layer, event.bytes)
    else if (event.type === 'layer' && event.report.origin === 'registry') bytes.set(event.layer, event.report.blobSize)
    else return []
    const sum = [...bytes.values()].reduce((total, each) => total + each, 0)
    return [{ ph: 'C', name: 'bytes fetched', pid: PID, tid: PULL_TRACK, ts: micros(atMs), args: { bytes: sum } } as const]
  })
}

const micros = (ms: number): number => Math.round(Math.max(0, ms) * 1000)

/** Rounded at both ends, so that what is within another slice stays within it. What a shared layer did before this pull is cut off. */
function slice(tid: number, name: string, fromMs: number, toMs: number, args: TraceEvent['args'] = {}): TraceEvent {
  const ts = micros(fromMs)
  return { ph: 'X', name, pid: PID, tid, ts, dur: micros(toMs) - ts, args }
}

const instant = (tid: number, name: string, atMs: number): TraceEvent => ({
  ph: 'i',
  name,
  pid: PID,
  tid,
  ts: micros(atMs),
  s: 't',
})

const named = (name: string, tid: number, args: TraceEvent['args'] = {}): TraceEvent => ({ ph: 'M', name, pid: PID, tid, args })

const trackOf = (tid: number, name: string): TraceEvent[] => [
  named('thread_name', tid, { name }),
  named('thread_sort_index', tid, { sort_index: tid }),
]
