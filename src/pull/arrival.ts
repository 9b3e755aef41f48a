/** How one layer's bytes get into a staged directory: from the registry, or from a copy on this node. Shared work is `layers.ts`'s. */
import { type Failure, failureOf, WindlassError } from '../failure/failure.ts'
import type { LayerId } from '../oci/digest.ts'
import type { Descriptor } from '../oci/oci.ts'
import { type From, newTrail, type Repository, type Trail, type Transfer } from '../registry/registry.ts'
import type { UnpackedFacts } from '../store/facts.ts'
import type { CopyableLayer, StagedLayer, Store } from '../store/store.ts'
import type { Rank } from '../sys/rank.ts'
import { unlessAborted } from '../task/flights.ts'
import type { Abortable, ByteSink } from '../task/task.ts'
import type { LayerSource, Unpacker, Unpacking } from '../unpack/unpack.ts'
import type { EarlyBlob, EarlyBlobs } from './early.ts'
import { reportOf } from './layer-report.ts'
import type { Log } from './log.ts'
import type { Partials } from './partials.ts'
import type { LayerReport, LayerState, PlannedLayer } from './pull.ts'
import type { Room } from './room.ts'

/**
 * Where one layer stands; read by whoever draws progress. `isDue`: it waits for the room that its copy needs. `unpacking`: how many of the
 * bytes nobody has unpacked yet, and what the others have become.
 */
export type LayerProgress = {
  state: LayerState
  bytes: number
  isDue?: boolean
  unpacking?: Pick<Unpacking, 'unread' | 'unpacked'>
}

/** Ready for its commit. */
export type Obtained = { readonly staged: StagedLayer; readonly facts: UnpackedFacts; readonly report: LayerReport }

/** Told the moment a diffID is unpacked, before its directory moves; undefined when it failed. */
export type Ready = (source: LayerSource | undefined) => void

/** Where bytes come from; `host` is named when they turn out wrong before anybody has delivered one. */
export type Origin = { readonly remote: Repository; readonly host: string }

/** Who brings layers here. `partials` where what came is kept for a restart. */
export type ArrivalCrew = {
  readonly store: Store
  readonly unpacker: Unpacker
  readonly room: Pick<Room, 'arrived' | 'due'>
  readonly log: Log
  readonly partials: Partials | undefined
  readonly early: EarlyBlobs
}

/**
 * `hold`: so many bytes have come; a promise where the next must wait. `isPatient`: it may have to. `isAhead`: no pod waits for the layer, as
 * far as is known now.
 */
type Held = {
  readonly hold: (bytes: number) => Promise<void> | undefined
  readonly isPatient: () => boolean
  readonly isAhead: () => boolean
}

/** One layer on its way. Whatever fails, nothing of it is left staged. */
export class Arrival {
  readonly #store: Store
  readonly #unpacker: Unpacker
  readonly #room: ArrivalCrew['room']
  readonly #planned: PlannedLayer
  readonly #id: LayerId
  readonly #hold: Held['hold']
  readonly #isPatient: Held['isPatient']
  readonly #isAhead: Held['isAhead']
  readonly #progress: LayerProgress
  readonly #signal: AbortSignal
  readonly #log: Log
  readonly #partials: Partials | undefined
  readonly #early: EarlyBlobs
  #isReplayed = false

  /** `id` is what the layer will be called. */
  constructor(
    { store, unpacker, room, log, partials, early, hold, isPatient, isAhead }: ArrivalCrew & Held,
    planned: PlannedLayer,
    id: LayerId,
    progress: LayerProgress,
    signal: AbortSignal,
  ) {
    this.#store = store
    this.#hold = hold
    this.#isPatient = isPatient
    this.#isAhead = isAhead
    this.#unpacker = unpacker
    this.#room = room
    this.#planned = planned
    this.#id = id
    this.#progress = progress
    this.#signal = signal
    this.#log = log
    this.#partials = partials
    this.#early = early
  }

  /** From the registry, in one pass; in a second one where what came was wrong and other hosts, or one answer alone, may be right. */
  async download(origin: Origin): Promise<Obtained> {
    const trail = newTrail()
    try {
      return await this.#downloadOnce(origin, trail)
    } catch (error) {
      if (this.#signal.aborted || !isWrong(failureOf(error))) throw error
      // What is wrong must not be gone on with.
      await this.#partials?.forget(this.#planned.blob.digest)
      const isPatched = trail.attempts > 1 || this.#isReplayed
      if (!isPatched && !trail.hasOthers) throw error
      this.#log.warn(
        { layer: this.#planned.blob.digest, from: [...trail.hosts], err: error },
        'what came was wrong; it is fetched anew',
      )
      this.#progress.bytes = 0
      return await this.#downloadOnce(origin, trail)
    }
  }

  async #downloadOnce(origin: Origin, trail: Trail): Promise<Obtained> {
    const { blob } = this.#planned
    if (!this.#early.isFor(blob)) return await this.#unpackFrom(origin, trail, undefined)
    const progress = this.#progress
    progress.state = 'downloading'
    progress.unpacking = {
      unpacked: 0,
      get unread() {
        return progress.bytes
      },
    }
    const arrived = (bytes: number): Promise<void> | undefined => {
      progress.bytes += bytes
      return both(this.#room.arrived(bytes), this.#hold(bytes))
    }
    const asking = { signal: this.#signal, trail, isPatient: this.#isPatient }
    using early = await this.#early.fetch(origin.remote, blob, arrived, asking)
    return await this.#unpackFrom(origin, trail, early)
  }

  /** What is not `early` here comes while it is unpacked. */
  async #unpackFrom({ remote, host }: Origin, trail: Trail, early: EarlyBlob | undefined): Promise<Obtained> {
    const { blob } = this.#planned
    const asked = performance.now()
    return await this.#staging(async (staged) => {
      const source: LayerSource = { kind: 'blob', digest: blob.digest, size: blob.size, host: early?.transfer.host ?? host }
      await using unpacking = await this.#open(staged, source)
      await using kept = await this.#store.blobs?.keep(blob, this.#id, { signal: this.#signal })
      await using partial = early === undefined ? await this.#partials?.open(blob) : undefined
      const started = performance.now()
      this.#progress.state = 'downloading'
      this.#progress.unpacking = unpacking
      const unpack = (chunk: Uint8Array) => both(unpacking.write(chunk), kept?.write(chunk))
      const take = (chunk: Uint8Array): Promise<void> | undefined => {
        this.#progress.bytes += chunk.length
        unpacking.rank(this.#rank())
        return both(unpack(chunk), this.#room.arrived(chunk.length))
      }
      for (const chunk of early?.chunks ?? []) await unpack(chunk)
      const from = await partial?.replay({ write: take }, { signal: this.#signal })
      this.#isReplayed = from !== undefined
      const bring = (chunk: Uint8Array) => both(take(chunk), this.#hold(chunk.length))
      const write = partial === undefined ? bring : (chunk: Uint8Array) => both(bring(chunk), partial.write(chunk))
      const rest = { signal: this.#signal, isPatient: this.#isPatient, trail, host, from }
      const transfer = early?.transfer ?? (await fetchRest(remote, blob, { write }, rest))
      const networkMs = early?.ms ?? Math.max(0, performance.now() - started - unpacking.blockedMs)
      this.#progress.state = 'unpacking'
      const facts = await unpacking.finish().catch((error: unknown) => {
        throw blaming(transfer.host, error)
      })
      await kept?.commit()
      await partial?.drop()
      const times = { queuedMs: started - asked, networkMs, attempts: transfer.attempts }
      const report = reportOf('registry', this.#planned, facts, times)
      // What came before there was a worker kept it waiting all the same.
      const waitMs = report.waitMs + (early?.ms ?? 0)
      return { staged, facts: { ...facts, blob }, report: { ...report, waitMs, host: transfer.host } }
    })
  }

  /** From a committed layer of another chain. */
  async copy(twin: CopyableLayer): Promise<Obtained> {
    await using lease = this.#store.lease('read')
    await lease.retain([twin.id])
    const { blob } = twin.facts
    return await this.#staging(async (staged) => {
      const obtained = await this.#replay(staged, { kind: 'local', diff: twin.diff, tarSplit: twin.tarSplit })
      return blob === undefined ? obtained : { ...obtained, facts: { ...obtained.facts, blob } }
    })
  }

  /** From a layer of another chain that is being unpacked; undefined where that fails. */
  async copyWhenReady(waiting: Set<Ready>): Promise<Obtained | undefined> {
    return await this.#staging(async (staged) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      let copying: Promise<Obtained> | undefined
      // The source is opened while its owner calls us, so that it cannot move to its place in between.
      const ready: Ready = (source) => {
        if (source !== undefined && !this.#signal.aborted) copying = this.#replay(staged, source)
        resolve()
      }
      waiting.add(ready)
      try {
        await unlessAborted(promise, this.#signal)
      } catch (error) {
        // The worker must have let go of the staged directory before we do; the signal reaches it by itself.
        await copying?.catch(() => {})
        throw error
      } finally {
        waiting.delete(ready)
      }
      return await copying
    })
  }

  /** Runs `work` on a new staged directory, which is gone again unless something was obtained. */
  async #staging<T extends Obtained | undefined>(work: (staged: StagedLayer) => Promise<T>): Promise<T> {
    await using cleanup = new AsyncDisposableStack()
    const obtained = await work(cleanup.use(await this.#store.stage(this.#planned.diffId)))
    if (obtained !== undefined) cleanup.move()
    return obtained
  }

  async #replay(staged: StagedLayer, source: LayerSource): Promise<Obtained> {
    const asked = performance.now()
    await using unpacking = await this.#open(staged, source)
    unpacking.rank(this.#rank())
    this.#progress.isDue = true
    await this.#room.due(this.#id, { signal: this.#signal })
    this.#progress.isDue = false
    this.#progress.state = 'unpacking'
    const queuedMs = performance.now() - asked
    const facts = await unpacking.finish()
    return { staged, facts, report: reportOf('copy', this.#planned, facts, { queuedMs, networkMs: 0, attempts: 0 }) }
  }

  #rank(): Rank {
    return this.#isAhead() ? 'behind' : 'usual'
  }

  #open(staged: StagedLayer, source: LayerSource): ReturnType<Unpacker['open']> {
    return this.#unpacker.open({ dir: staged.dir, diffId: this.#planned.diffId, source }, { signal: this.#signal })
  }
}

type Rest = Abortable &
  Pick<Held, 'isPatient'> & { readonly trail: Trail; readonly host: string; readonly from: From | undefined }

/** What is not here yet; nothing is asked for where that is nothing. */
async function fetchRest(remote: Repository, blob: Descriptor, sink: ByteSink, rest: Rest): Promise<Transfer> {
  const { signal, isPatient, trail, host, from } = rest
  if (from?.offset === blob.size) return { host, bytes: 0, attempts: 0, firstByteMs: 0 }
  return await remote.fetch(blob, sink, { signal, isPatient, trail, ...(from === undefined ? {} : { from }) })
}

/** Full where either is. */
function both(one: Promise<void> | undefined, other: Promise<void> | undefined): Promise<void> | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Promise.all([one, other]).then(() => {})
}

/** What a finished directory looks like to the one who copies it. */
export const sourceIn = ({ dir }: StagedLayer): LayerSource => ({
  kind: 'local',
  diff: `${dir}/diff`,
  tarSplit: `${dir}/tar-split.gz`,
})

/** Bytes that are not the layer's, whoever finds it out. */
const isWrong = ({ kind }: Failure): boolean =>
  kind === 'digest-mismatch' || kind === 'size-mismatch' || kind === 'bad-layer' || kind === 'malformed'

/** The error, with the host that delivered the bytes in place of the one the manifest came from. */
function blaming(host: string, error: unknown): unknown {
  if (!(error instanceof WindlassError) || !('from' in error.failure)) return error
  return new WindlassError({ ...error.failure, from: host }, error.cause)
}
