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
import type { Repository } from '../registry/registry.ts'
import type { StagedLayer, Store, StoredLayer } from '../store/store.ts'
import { Flights, unlessAborted } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import type { LayerSource, UnpackedLayer, Unpacker } from '../unpack/unpack.ts'
import type { Log } from './log.ts'
import type { LayerReport, LayerState, PlannedLayer } from './pull.ts'

/** Where one layer stands; read by whoever draws progress. */
export type LayerProgress = { state: LayerState; bytes: number }

/** An image's layers, base first, and where missing ones come from. */
export type Chain = {
  readonly layers: readonly PlannedLayer[]
  readonly ids: readonly LayerId[]
  readonly remote: Repository
  /** Named when bytes turn out wrong. */
  readonly host: string
}

export type Arrived = { readonly layer: StoredLayer; readonly report: LayerReport }

/** Ready for its commit. */
type Obtained = { readonly staged: StagedLayer; readonly facts: UnpackedLayer; readonly report: LayerReport }

/** Told the moment a diffID is unpacked, before its directory moves; undefined when it failed. */
type Ready = (source: LayerSource | undefined) => void

export class LayerWork {
  readonly #store: Store
  readonly #unpacker: Unpacker
  readonly #log: Log
  readonly #flights = new Flights<LayerId, Arrived>()
  readonly #progress = new Map<LayerId, LayerProgress>()
  readonly #unpacking = new Map<DiffId, Set<Ready>>()

  constructor(store: Store, unpacker: Unpacker, log: Log) {
    this.#store = store
    this.#unpacker = unpacker
    this.#log = log
  }

  progressOf(id: LayerId): LayerProgress | undefined {
    return this.#progress.get(id)
  }

  /** The layer at `position`, committed. The caller's lease holds it already. */
  async ensure(chain: Chain, position: number, options: Abortable): Promise<Arrived> {
    const planned = chain.layers[position]
    const id = chain.ids[position]
    if (planned === undefined || id === undefined) throw new RangeError(`the chain has no layer ${position}`)
    const here = this.#store.layer(id)
    if (here !== undefined) return { layer: here, report: reportHere(planned, here) }
    const wasFlying = this.#flights.has(id)
    const fly = (): Promise<Arrived> =>
      this.#flights.join(id, (signal) => this.#bring(chain, position, planned, id, signal), options)
    try {
      return await fly()
    } catch (error) {
      // What ended somebody else's attempt, their credentials or their leaving, need not end ours.
      if (!wasFlying || options.signal.aborted || !isTheirs(failureOf(error))) throw error
      return await fly()
    }
  }

  async #bring(chain: Chain, position: number, planned: PlannedLayer, id: LayerId, signal: AbortSignal): Promise<Arrived> {
    const progress: LayerProgress = { state: 'waiting', bytes: 0 }
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
      const obtaining = orStop(this.#obtain(chain, planned, progress, both))
      const below = position === 0 ? undefined : orStop(this.ensure(chain, position - 1, both))
      const [obtained, parent] = await Promise.allSettled([obtaining, below])
      await using cleanup = new AsyncDisposableStack()
      if (obtained.status === 'fulfilled') cleanup.use(obtained.value.staged)
      if (failed.signal.aborted) throw failed.signal.reason
      if (obtained.status === 'rejected') throw obtained.reason
      if (parent.status === 'rejected') throw parent.reason
      progress.state = 'committing'
      const layer = await this.#store.commit(obtained.value.staged, obtained.value.facts, parent.value?.layer)
      return { layer, report: obtained.value.report }
    } finally {
      this.#progress.delete(id)
    }
  }

  async #obtain(chain: Chain, planned: PlannedLayer, progress: LayerProgress, options: Abortable): Promise<Obtained> {
    // Looking and claiming the download are one step, without an await in between: two chains never both find nothing.
    for (let isSound = true; isSound && this.#hasCopy(planned.diffId); ) {
      const copied = await this.#copy(planned, progress, options)
      if (copied !== undefined && copied !== 'damaged') return copied
      isSound = copied !== 'damaged'
    }
    const waiting = new Set<Ready>()
    this.#unpacking.set(planned.diffId, waiting)
    let source: LayerSource | undefined
    try {
      const obtained = await this.#download(chain, planned, progress, options)
      source = localSource(obtained.staged.dir)
      return obtained
    } finally {
      if (this.#unpacking.get(planned.diffId) === waiting) this.#unpacking.delete(planned.diffId)
      for (const ready of waiting) ready(source)
    }
  }

  /** True where another chain has this diffID, committed or being unpacked. */
  #hasCopy(diffId: DiffId): boolean {
    return this.#store.layerByDiffId(diffId) !== undefined || this.#unpacking.has(diffId)
  }

  /** From another chain's layer with the same diffID; undefined where that one failed to arrive. */
  async #copy(planned: PlannedLayer, progress: LayerProgress, options: Abortable): Promise<Obtained | 'damaged' | undefined> {
    await using cleanup = new AsyncDisposableStack()
    const staged = cleanup.use(await this.#store.stage(planned.diffId))
    try {
      const obtained = await this.#copyInto(staged, planned, progress, options)
      if (obtained !== undefined) cleanup.move()
      return obtained
    } catch (error) {
      if (options.signal.aborted) throw error
      this.#log.warn(
        { diffId: planned.diffId, err: error },
        'the copy of this layer on this node cannot be used; it is fetched again',
      )
      return 'damaged'
    }
  }

  async #copyInto(
    staged: StagedLayer,
    planned: PlannedLayer,
    progress: LayerProgress,
    options: Abortable,
  ): Promise<Obtained | undefined> {
    const { diffId } = planned
    const twin = this.#store.layerByDiffId(diffId)
    if (twin !== undefined) {
      using lease = this.#store.lease()
      lease.retain(twin.id)
      return await this.#unpackCopy(
        staged,
        { kind: 'local', diff: twin.diff, tarSplit: twin.tarSplit },
        planned,
        progress,
        options,
      )
    }
    const waiting = this.#unpacking.get(diffId)
    if (waiting === undefined) return undefined
    // The source is opened while its owner calls us, so that it cannot move to its place in between.
    const { promise, resolve } = Promise.withResolvers<Promise<Obtained> | undefined>()
    const ready: Ready = (source) => resolve(source && this.#unpackCopy(staged, source, planned, progress, options))
    waiting.add(ready)
    return await unlessAborted(promise, options.signal).finally(() => waiting.delete(ready))
  }

  async #unpackCopy(
    staged: StagedLayer,
    source: LayerSource,
    planned: PlannedLayer,
    progress: LayerProgress,
    options: Abortable,
  ): Promise<Obtained> {
    const asked = performance.now()
    await using unpacking = await this.#unpacker.open({ dir: staged.dir, diffId: planned.diffId, source }, options)
    progress.state = 'unpacking'
    const queuedMs = performance.now() - asked
    const facts = await unpacking.finish()
    return { staged, facts, report: reportOf('copy', planned, facts, { queuedMs, networkMs: 0, attempts: 0 }) }
  }

  async #download(
    { remote, host }: Chain,
    planned: PlannedLayer,
    progress: LayerProgress,
    options: Abortable,
  ): Promise<Obtained> {
    const { blob, diffId } = planned
    const asked = performance.now()
    await using cleanup = new AsyncDisposableStack()
    const staged = cleanup.use(await this.#store.stage(diffId))
    const source: LayerSource = { kind: 'blob', digest: blob.digest, size: blob.size, host }
    await using unpacking = await this.#unpacker.open({ dir: staged.dir, diffId, source }, options)
    const started = performance.now()
    progress.state = 'downloading'
    const write = (chunk: Uint8Array): Promise<void> | undefined => {
      progress.bytes += chunk.length
      return unpacking.write(chunk)
    }
    const transfer = await remote.fetch(blob, { write }, options)
    const networkMs = Math.max(0, performance.now() - started - unpacking.blockedMs)
    progress.state = 'unpacking'
    const facts = await unpacking.finish()
    cleanup.move()
    const times = { queuedMs: started - asked, networkMs, attempts: transfer.attempts }
    return { staged, facts, report: { ...reportOf('registry', planned, facts, times), host: transfer.host } }
  }
}

const localSource = (dir: string): LayerSource => ({ kind: 'local', diff: `${dir}/diff`, tarSplit: `${dir}/tar-split.gz` })

/** Failures that belong to the one who asked, not to the layer. */
const isTheirs = ({ kind }: Failure): boolean =>
  kind === 'cancelled' || kind === 'unauthorized' || kind === 'denied' || kind === 'rate-limited'

const reportHere = ({ blob }: PlannedLayer, { facts }: StoredLayer): LayerReport => ({
  origin: 'here',
  blobSize: blob.size,
  diffSize: facts.diffSize,
  entries: facts.entries,
  whiteouts: facts.whiteouts,
  queuedMs: 0,
  networkMs: 0,
  unpackMs: 0,
  attempts: 0,
  warnings: [],
})

const reportOf = (
  origin: 'registry' | 'copy',
  { blob }: PlannedLayer,
  facts: UnpackedLayer,
  times: Pick<LayerReport, 'queuedMs' | 'networkMs' | 'attempts'>,
): LayerReport => ({
  origin,
  blobSize: blob.size,
  diffSize: facts.diffSize,
  entries: facts.entries,
  whiteouts: facts.whiteouts,
  unpackMs: facts.workMs,
  warnings: facts.warnings,
  ...times,
})
