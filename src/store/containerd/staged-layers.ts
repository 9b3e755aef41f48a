/** Layers on their way: from the directory they are unpacked into to their place in a chain, where they wait to become snapshots. */
import { basename, join } from 'node:path'
import { asWindlassError, fail, failureOf } from '../../failure/failure.ts'
import type { DiffId, LayerId } from '../../oci/digest.ts'
import type { StoreLog } from '../common/log.ts'
import { Staged } from '../common/staged.ts'
import type { Sweeper } from '../common/sweeper.ts'
import type { Thread } from '../common/thread.ts'
import type { UnpackedFacts } from '../facts.ts'
import type { CopyableLayer, OwnLayer, StagedLayer, StoredLayer } from '../store.ts'
import type { Holds } from './holds.ts'
import { Lingering } from './lingering.ts'
import type { MoverDuties } from './mover.ts'
import { layerIdAbove } from './names.ts'
import type { Pending, PendingLayer } from './pending.ts'
import type { Snapshots } from './snapshots.ts'
import type { Staging } from './staging.ts'

/** What they are moved with; all of it is the store's. */
export type StagedParts = {
  readonly staging: Staging
  readonly sweeper: Sweeper
  readonly mover: Thread<MoverDuties>
  readonly snapshots: Snapshots
  readonly pending: Pending
  readonly holds: Holds
  readonly log: StoreLog
}

export class StagedLayers implements Disposable {
  readonly #parts: StagedParts
  readonly #lingering: Lingering

  constructor(parts: StagedParts) {
    const { pending, holds, log } = parts
    this.#parts = parts
    this.#lingering = new Lingering({
      loose: () => pending.loose(holds.ids()),
      drop: (but) =>
        void this.dropLoose(but).catch((error) => log.warn({ failure: failureOf(error) }, 'staged layers could not be dropped')),
    })
  }

  find(id: LayerId): CopyableLayer | undefined {
    return layerOf(this.#parts.pending.get(id))
  }

  byDiffId(diffId: DiffId): CopyableLayer | undefined {
    return layerOf(this.#parts.pending.byDiffId(diffId))
  }

  /** A new directory to unpack into. `onLost` hears where there can be none any more. Throws no-space, system. */
  async stage(diffId: DiffId, onLost: ((error: Error) => void) | undefined): Promise<StagedLayer> {
    const { staging, pending } = this.#parts
    const dir = await staging.make().catch((error: unknown) => {
      // The snapshot has gone: its lease has run out, or containerd has been emptied. Only a new one helps.
      const failure = failureOf(error)
      if (failure.kind === 'system' && failure.code === 'ENOENT') onLost?.(asWindlassError(error))
      throw error
    })
    return new Staged(dir, dir, diffId, pending.lostTimes, (place) => this.#parts.sweeper.discard(place))
  }

  /** Gives a layer its place above `parent`, or drops it for the one that is there. Throws as the store's `commit` does. */
  async commit(staged: StagedLayer, facts: UnpackedFacts, parent: StoredLayer | undefined): Promise<StoredLayer> {
    const { pending, snapshots, holds } = this.#parts
    if (!(staged instanceof Staged)) fail({ kind: 'internal', what: 'commit of a layer that was not staged here' })
    const id = layerIdAbove(parent?.id, staged.diffId)
    const there = this.find(id) ?? (await snapshots.find(id))
    if (there !== undefined) {
      await staged[Symbol.asyncDispose]()
      await holds.keep(id)
      return there
    }
    const { leftOut } = await this.#seize(staged)
    if (leftOut && parent !== undefined) await this.#attribute(staged.dir, parent.id)
    const rival = this.find(id)
    if (rival !== undefined) {
      await staged[Symbol.asyncDispose]()
      return rival
    }
    const layer = { id, diffId: staged.diffId, parent: parent?.id, dir: staged.dir, facts }
    pending.add(layer, staged)
    staged.moved()
    // Where its pull has ended meanwhile, nobody else would come for it.
    if (!holds.ids().has(id)) this.#lingering.begin()
    return layerOf(layer)
  }

  /** From now on nobody may count on these any more: they wait for a while for who comes back. */
  released(ids: ReadonlySet<LayerId>): void {
    if ([...ids].some((id) => this.find(id) !== undefined)) this.#lingering.begin()
  }

  /** Drops those that nobody holds, but for these and what they stand on. */
  async dropLoose(but: readonly LayerId[]): Promise<readonly OwnLayer[]> {
    const { sweeper, pending, holds } = this.#parts
    const loose = pending.takeLoose([...holds.ids(), ...but])
    const layers = loose.map((layer) => layerOf(layer))
    for (const { dir } of loose) await sweeper.discard(dir)
    return layers
  }

  [Symbol.dispose](): void {
    this.#lingering[Symbol.dispose]()
  }

  /** Out of the extractors' reach before anything is done to it. */
  async #seize(staged: Staged): Promise<{ readonly leftOut: boolean }> {
    const from = staged.dir
    const to = join(this.#parts.staging.landed, basename(from))
    staged.movedTo(to)
    return await this.#parts.mover.call('seize', { from, to })
  }

  async #attribute(dir: string, parent: LayerId): Promise<void> {
    const { mover } = this.#parts
    try {
      await mover.call('attribute', { dir, lowers: await this.#lowersFrom(parent) })
    } catch (error) {
      const failure = failureOf(error)
      if (failure.kind !== 'system' || failure.code !== 'ENOENT') throw error
      // A layer below moved to its place meanwhile: asked again, it says where that is.
      await mover.call('attribute', { dir, lowers: await this.#lowersFrom(parent) })
    }
  }

  /** The directories of a layer and of those below it, nearest first. */
  async #lowersFrom(top: LayerId): Promise<readonly string[]> {
    const layer = this.find(top)
    if (layer === undefined) return await this.#parts.snapshots.lowers(top)
    const below = layer.parent === undefined ? [] : await this.#lowersFrom(layer.parent)
    return [layer.diff, ...below]
  }
}

function layerOf(layer: PendingLayer): CopyableLayer
function layerOf(layer: PendingLayer | undefined): CopyableLayer | undefined
function layerOf(layer: PendingLayer | undefined): CopyableLayer | undefined {
  if (layer === undefined) return undefined
  const { id, diffId, parent, dir, facts } = layer
  const diff = join(dir, 'diff')
  const below = parent === undefined ? {} : { parent }
  return { id, diffId, ...below, diff, tarSplit: join(dir, 'tar-split.gz'), short: diff, facts }
}
