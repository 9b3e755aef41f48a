/**
 * Brings the layers of a chain here, each once per node whoever asks:
 *
 *     obtain (download, or copy from a twin) ─┐
 *                                             ├─▶ commit in chain order
 *     the layer below, committed ─────────────┘
 *
 * Chains share layers by layer id. Chains that differ below share the diffID: it is downloaded once, and the second chain puts the tar
 * together again from what the first unpacked.
 */
import { type Failure, failureOf } from '../failure/failure.ts'
import type { DiffId, LayerId } from '../oci/digest.ts'
import type { CopyableLayer, Store, StoredLayer } from '../store/store.ts'
import { Flights } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import type { LayerSource } from '../unpack/unpack.ts'
import { type Arrival, type ArrivalCrew, enter, type LayerProgress, type Obtained, type Origin, unpacked } from './arrival.ts'
import type { Brake, IsUrgent } from './brake.ts'
import { copyTwin, copyWhenReady, type Ready, sourceIn } from './copy.ts'
import { download } from './download.ts'
import { EarlyBlobs } from './early.ts'
import { reportHere } from './layer-report.ts'
import type { Log } from './log.ts'
import type { PullObserver } from './observer.ts'
import type { LayerReport, PlannedLayer } from './pull.ts'

/** An image's layers, base first, where missing ones come from, and whether a pod waits for them. */
export type Chain = Origin & {
  readonly layers: readonly PlannedLayer[]
  readonly ids: readonly LayerId[]
  readonly isUrgent: IsUrgent
  readonly isArchive: boolean
}

export type Arrived = { readonly layer: StoredLayer; readonly report: LayerReport }

export class LayerWork {
  readonly #crew: ArrivalCrew
  readonly #store: Store
  readonly #log: Log
  readonly #brake: Brake
  readonly #brought: PullObserver['brought']
  readonly #flights = new Flights<string, Arrived>()
  readonly #progress = new Map<LayerId, LayerProgress>()
  readonly #unpacking = new Map<string, Set<Ready>>()

  constructor(crew: Omit<ArrivalCrew, 'early'>, brake: Brake, brought: PullObserver['brought']) {
    this.#brought = brought
    this.#brake = brake
    this.#crew = { ...crew, early: new EarlyBlobs() }
    this.#store = crew.store
    this.#log = crew.log
  }

  /** Throws not-permitted where no layer could be unpacked. */
  checkRights(): void {
    this.#crew.unpacker.checkRights()
  }

  /** Layers are likely to follow. */
  startWorker(): void {
    this.#crew.unpacker.startWorker()
  }

  /** Until it is disposed, what came of these layers before is the last of its kind to make room. */
  expect(layers: readonly PlannedLayer[]): Disposable | undefined {
    return this.#crew.partials?.expect(layers.map(({ blob }) => blob.digest))
  }

  progressOf(id: LayerId): LayerProgress | undefined {
    return this.#progress.get(id)
  }

  /** The layer at `position`, committed. The caller's lease holds it already. */
  async ensure(chain: Chain, position: number, options: Abortable): Promise<Arrived> {
    const planned = chain.layers[position]
    const id = chain.ids[position]
    if (planned === undefined || id === undefined) throw new RangeError(`the chain has no layer ${position}`)
    // By the blob too: who names other bytes for a layer must not keep those waiting who have the right ones.
    const flight = `${id} ${planned.blob.digest}`
    using _wanted = this.#brake.want(bytesOf(planned), chain.isUrgent)
    const wasFlying = this.#flights.has(flight)
    const fly = (): Promise<Arrived> =>
      this.#flights.join(flight, (signal) => this.#bring(chain, position, planned, id, signal), options)
    try {
      return await fly()
    } catch (error) {
      // What ended somebody else's attempt, their credentials or their leaving, need not end ours.
      if (!wasFlying || options.signal.aborted || !isTheirs(failureOf(error))) throw error
      return await fly()
    }
  }

  async #bring(chain: Chain, position: number, planned: PlannedLayer, id: LayerId, signal: AbortSignal): Promise<Arrived> {
    const here = await this.#store.layer(id)
    if (here !== undefined && here.damage === undefined) return { layer: here, report: reportHere(planned, here) }
    // Before its bytes are moved, rather than after.
    if (here !== undefined) this.#store.health?.checkReplaceable(here)
    const asked = performance.now()
    const progress: LayerProgress = { state: 'waiting', since: asked, bytes: 0 }
    this.#progress.set(id, progress)
    try {
      // Whichever of the two fails first stops the other: nobody needs a layer without the one below it.
      const failed = new AbortController()
      const both = { signal: AbortSignal.any([signal, failed.signal]) }
      const orStop = async <T>(work: Promise<T>): Promise<T> => {
        try {
          return await work
        } catch (error) {
          failed.abort(error)
          throw error
        }
      }
      let obtainedAt = 0
      const obtaining = orStop(this.#obtain(chain, planned, id, progress, both.signal)).then((obtained) => {
        unpacked(progress)
        obtainedAt = progress.since
        return obtained
      })
      const below = position === 0 ? undefined : orStop(this.ensure(chain, position - 1, both))
      const [obtained, parent] = await Promise.allSettled([obtaining, below])
      await using cleanup = new AsyncDisposableStack()
      if (obtained.status === 'fulfilled') cleanup.use(obtained.value.staged)
      if (failed.signal.aborted) throw failed.signal.reason
      if (obtained.status === 'rejected') throw obtained.reason
      if (parent.status === 'rejected') throw parent.reason
      enter(progress, 'committing')
      const began = performance.now()
      const layer = await this.#store.commit(obtained.value.staged, obtained.value.facts, parent.value?.layer)
      const said = obtained.value.report
      const times = { belowMs: began - obtainedAt, commitMs: said.commitMs + performance.now() - began }
      const report = { ...said, queuedMs: queuedMsOf(said, obtainedAt - asked), ...times }
      this.#brought(planned, report, chain.isArchive)
      return { layer, report }
    } finally {
      this.#progress.delete(id)
    }
  }

  async #obtain(
    chain: Chain,
    planned: PlannedLayer,
    id: LayerId,
    progress: LayerProgress,
    signal: AbortSignal,
  ): Promise<Obtained> {
    const { diffId } = planned
    const unpacking = bytesOf(planned)
    const hold = (bytes: number): Promise<void> | undefined => this.#brake.take(unpacking, bytes, signal)
    const isPatient = (): boolean => this.#brake.mayStop(unpacking)
    const isAhead = (): boolean => this.#brake.isAhead(unpacking)
    const arrival: Arrival = { ...this.#crew, planned, id, progress, signal, hold, isPatient, isAhead }
    for (let isSound = true; isSound; ) {
      const twin = await this.#store.layerByDiffId(diffId)
      const waiting = this.#unpacking.get(unpacking)
      // From here to the claim there is no await in between: two chains never both find that nobody unpacks.
      if (twin === undefined && waiting === undefined) break
      const copied = await this.#copy(arrival, diffId, { twin, waiting }, signal)
      if (copied !== undefined && copied !== 'damaged') return copied
      isSound = copied !== 'damaged'
    }
    const waiting = new Set<Ready>()
    this.#unpacking.set(unpacking, waiting)
    let source: LayerSource | undefined
    try {
      using _admitted = await this.#brake.admit(unpacking, { signal })
      const obtained = await download(arrival, chain)
      source = sourceIn(obtained.staged)
      return obtained
    } finally {
      if (this.#unpacking.get(unpacking) === waiting) this.#unpacking.delete(unpacking)
      for (const ready of waiting) ready(source)
    }
  }

  /** From another chain's layer with the same diffID; undefined where that one failed to arrive. */
  async #copy(
    arrival: Arrival,
    diffId: DiffId,
    { twin, waiting }: { readonly twin: CopyableLayer | undefined; readonly waiting: Set<Ready> | undefined },
    signal: AbortSignal,
  ): Promise<Obtained | 'damaged' | undefined> {
    try {
      if (twin !== undefined) return await copyTwin(arrival, twin)
      return waiting === undefined ? undefined : await copyWhenReady(arrival, waiting)
    } catch (error) {
      if (signal.aborted || !isDamage(failureOf(error))) throw error
      this.#log.warn({ diffId, err: error }, 'the copy of this layer on this node cannot be used; it is fetched again')
      return 'damaged'
    }
  }
}

/** Whatever a layer waited for before it had a worker is the rest of the time until it was obtained: so nothing of that is in no step. */
const queuedMsOf = ({ startMs, waitMs, unpackMs, commitMs }: LayerReport, wholeMs: number): number =>
  Math.max(0, wholeMs - startMs - waitMs - unpackMs - commitMs)

/** The same for all chains that get a layer out of the same bytes. */
const bytesOf = ({ diffId, blob }: PlannedLayer): string => `${diffId} ${blob.digest}`

/** Failures that say a copy cannot be read; a full disk, say, is no reason to fetch it again. */
const isDamage = ({ kind }: Failure): boolean =>
  kind === 'digest-mismatch' || kind === 'size-mismatch' || kind === 'bad-layer' || kind === 'system'

/** Failures of the one who asked, of where they asked, and of what they were given; not of this node. */
const isTheirs = ({ kind }: Failure): boolean => THEIRS.has(kind)
const THEIRS: ReadonlySet<Failure['kind']> = new Set([
  'cancelled',
  'unauthorized',
  'denied',
  'rate-limited',
  'registry-unavailable',
  'blob-unknown',
  'digest-mismatch',
  'size-mismatch',
  'malformed',
  'bad-archive',
])
