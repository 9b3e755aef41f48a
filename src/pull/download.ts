/** A layer from its registry, fetched and unpacked in one pass. */
import { type Failure, failureOf, WindlassError } from '../failure/failure.ts'
import { newTrail, type Trail, type Transfer } from '../registry/registry.ts'
import { type ByteSink, both } from '../task/task.ts'
import type { LayerSource } from '../unpack/unpack.ts'
import { type Arrival, enter, type Obtained, type Origin, openUnpacking, rankOf, staging, startMsOf } from './arrival.ts'
import type { EarlyBlob } from './early.ts'
import { reportOf } from './layer-report.ts'
import type { PartialBlob } from './partial-blob.ts'

/** What its passes leave behind. `isReplayed`: some of it came in an earlier pull. */
type Past = { readonly trail: Trail; isReplayed: boolean }

/** In one pass; in a second one where what came was wrong and other hosts, or one answer alone, may be right. */
export async function download(arrival: Arrival, origin: Origin): Promise<Obtained> {
  const { planned, partials, log, progress, signal } = arrival
  const past: Past = { trail: newTrail(), isReplayed: false }
  const { trail } = past
  try {
    return await pass(arrival, origin, past)
  } catch (error) {
    if (signal.aborted || !isWrong(failureOf(error))) throw error
    // What is wrong must not be gone on with.
    await partials?.forget(planned.blob.digest)
    if (!trail.isPatched && !past.isReplayed && !trail.hasOthers) throw error
    log.warn({ layer: planned.blob.digest, from: [...trail.hosts], err: error }, 'what came was wrong; it is fetched anew')
    progress.bytes = 0
    return await pass(arrival, origin, past)
  }
}

async function pass(arrival: Arrival, origin: Origin, past: Past): Promise<Obtained> {
  if (!arrival.early.isFor(arrival.planned.blob)) return await unpackFrom(arrival, origin, past, undefined)
  using early = await fetchEarly(arrival, origin, past.trail)
  return await unpackFrom(arrival, origin, past, early)
}

/** A small layer comes before there is a worker for it. */
async function fetchEarly(arrival: Arrival, { remote }: Origin, trail: Trail): Promise<EarlyBlob> {
  const { planned, early, room, progress, hold, isPatient, signal } = arrival
  enter(progress, 'downloading')
  progress.unpacking = {
    unpacked: 0,
    get unread() {
      return progress.bytes
    },
  }
  const arrived = (bytes: number): Promise<void> | undefined => {
    progress.bytes += bytes
    return both(room.arrived(bytes), hold(bytes))
  }
  return await early.fetch(remote, planned.blob, arrived, { signal, trail, isPatient })
}

/** What is not `early` here comes while it is unpacked. */
async function unpackFrom(arrival: Arrival, origin: Origin, past: Past, early: EarlyBlob | undefined): Promise<Obtained> {
  const { planned, store, partials, room, progress, id, hold, signal } = arrival
  const { blob } = planned
  return await staging(arrival, async (staged) => {
    const source: LayerSource = { kind: 'blob', digest: blob.digest, size: blob.size, host: early?.transfer.host ?? origin.host }
    await using unpacking = await openUnpacking(arrival, staged, source)
    await using kept = await store.blobs?.keep(blob, id, { signal })
    await using partial = early === undefined ? await partials?.open(blob) : undefined
    const started = performance.now()
    enter(progress, 'downloading')
    progress.unpacking = unpacking
    const unpack = (chunk: Uint8Array) => both(unpacking.write(chunk), kept?.write(chunk))
    const take = (chunk: Uint8Array): Promise<void> | undefined => {
      progress.bytes += chunk.length
      unpacking.rank(rankOf(arrival))
      return both(unpack(chunk), room.arrived(chunk.length))
    }
    const bring = (chunk: Uint8Array) => both(take(chunk), hold(chunk.length))
    for (const chunk of early?.chunks ?? []) await unpack(chunk)
    const transfer = early?.transfer ?? (await fetchRest(arrival, origin, past, { take, bring }, partial))
    const networkMs = early?.ms ?? Math.max(0, performance.now() - started - unpacking.blockedMs)
    enter(progress, 'unpacking')
    const facts = await unpacking.finish().catch((error: unknown) => {
      throw blaming(transfer.host, error)
    })
    const startMs = startMsOf(started, facts)
    const unpacked = performance.now()
    await kept?.commit()
    await partial?.drop()
    // Its blob is given its place first.
    const times = { startMs, networkMs, attempts: transfer.attempts, commitMs: performance.now() - unpacked }
    const report = reportOf('registry', planned, facts, times)
    // What came before there was a worker kept it waiting all the same.
    const waitMs = report.waitMs + (early?.ms ?? 0)
    return { staged, facts: { ...facts, blob }, report: { ...report, waitMs, host: transfer.host } }
  })
}

/** `take`: bytes that are here; `bring`: bytes that come over the network. */
type Sinks = { readonly take: ByteSink['write']; readonly bring: ByteSink['write'] }

/** First what was kept of it, then what is not here yet; nothing is asked for where that is nothing. */
async function fetchRest(
  { planned, signal, isPatient }: Arrival,
  { remote, host }: Origin,
  past: Past,
  { take, bring }: Sinks,
  partial: PartialBlob | undefined,
): Promise<Transfer> {
  const { blob } = planned
  const { trail } = past
  const from = await partial?.replay({ write: take }, { signal })
  past.isReplayed = from !== undefined
  if (from?.offset === blob.size) return { host, bytes: 0, attempts: 0, firstByteMs: 0 }
  const write = partial === undefined ? bring : (chunk: Uint8Array) => both(bring(chunk), partial.write(chunk))
  return await remote.fetch(blob, { write }, { signal, isPatient, trail, ...(from === undefined ? {} : { from }) })
}

/** Bytes that are not the layer's, whoever finds it out. */
const isWrong = ({ kind }: Failure): boolean =>
  kind === 'digest-mismatch' || kind === 'size-mismatch' || kind === 'bad-layer' || kind === 'malformed'

/** The error, with the host that delivered the bytes in place of the one the manifest came from. */
function blaming(host: string, error: unknown): unknown {
  if (!(error instanceof WindlassError) || !('from' in error.failure)) return error
  return new WindlassError({ ...error.failure, from: host }, error.cause)
}
