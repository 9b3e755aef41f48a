/** The store's layers: from staging into the graph, held by leases and images, and out again through the trash. */
import { randomUUID } from 'node:crypto'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { asWindlassError, type Failure, fail } from '../../failure/failure.ts'
import { type DiffId, type LayerId, layerIdAbove } from '../../oci/digest.ts'
import type { UnpackedFacts } from '../facts.ts'
import type { Lease, StagedLayer, StoredLayer } from '../store.ts'
import type { KeeperDuties } from './keeper.ts'
import type { Layout } from './layout.ts'
import { mountedLayers } from './mounted.ts'
import { Staged } from './staged.ts'
import type { Sweeper } from './sweeper.ts'
import type { Thread } from './thread.ts'
import type { View } from './view.ts'

/** The threads that do what is decided here. */
export type Threads = { readonly keeper: Thread<KeeperDuties>; readonly sweeper: Sweeper }

export class Layers {
  readonly #at: Layout
  readonly #view: View
  readonly #threads: Threads
  readonly #leases = new Set<ReadonlySet<LayerId>>()
  readonly #committing = new Map<LayerId, Promise<StoredLayer>>()
  /** How often a sync has failed, and how: files written before a failed sync may be lost although a later one succeeds (fsync(2)). */
  #lost: { readonly times: number; readonly failure?: Failure } = { times: 0 }

  constructor(at: Layout, view: View, threads: Threads) {
    this.#at = at
    this.#view = view
    this.#threads = threads
  }

  lease(): Lease {
    const layers = new Set<LayerId>()
    this.#leases.add(layers)
    return {
      retain: async (ids) => {
        for (const id of ids) layers.add(id)
      },
      [Symbol.asyncDispose]: async () => void this.#leases.delete(layers),
    }
  }

  /** A lease within the store: taken, and given back, at once. */
  hold(ids: readonly LayerId[]): Disposable {
    const layers = new Set(ids)
    this.#leases.add(layers)
    return { [Symbol.dispose]: () => void this.#leases.delete(layers) }
  }

  async stage(diffId: DiffId): Promise<StagedLayer> {
    const name = randomUUID()
    const dir = join(this.#at.staging, name)
    await mkdir(dir, { mode: 0o700 }).catch((error) => {
      throw asWindlassError(error)
    })
    return new Staged(name, dir, diffId, this.#lost.times, () => this.#discard(dir))
  }

  async commit(staged: StagedLayer, facts: UnpackedFacts, parent: LayerId | undefined): Promise<StoredLayer> {
    if (!(staged instanceof Staged)) fail({ kind: 'internal', what: 'commit of a layer that was not staged here' })
    const id = layerIdAbove(parent, staged.diffId)
    // Another pull's commit of the same layer: its failure is for that pull to hear of, ours is then tried.
    for (let other = this.#committing.get(id); other !== undefined; other = this.#committing.get(id))
      await other.catch(() => undefined)
    const inPlace = this.#view.layer(id)?.layer
    if (inPlace !== undefined) {
      await staged[Symbol.asyncDispose]()
      return inPlace
    }
    const committed = this.#move(id, staged, facts, parent).finally(() => this.#committing.delete(id))
    this.#committing.set(id, committed)
    return committed
  }

  async collect(): Promise<readonly StoredLayer[]> {
    const held = this.#held()
    const free = [...this.#view.layers()].map(({ layer }) => layer).filter(({ id }) => !held.has(id))
    const mounted = new Set(mountedLayers(free.map(({ id }) => id)))
    const loose = free.filter(({ id }) => !mounted.has(id))
    await this.#withdraw(loose)
    return loose
  }

  /** After a failed sync nobody can say which of the files written before it are on disk: none of their layers may ever be published. */
  async dropUnsynced(failure: Failure): Promise<void> {
    this.#lost = { times: this.#lost.times + 1, failure }
    await this.#withdraw([...this.#view.layers()].filter(({ recorded }) => !recorded).map(({ layer }) => layer))
  }

  /** Why a layer that an image needs is not here. */
  missing(id: LayerId): Failure {
    return this.#lost.failure ?? { kind: 'internal', what: `layer ${id} is needed, and was never committed or no lease held it` }
  }

  async #move(id: LayerId, staged: Staged, facts: UnpackedFacts, parent: LayerId | undefined): Promise<StoredLayer> {
    using _hold = this.hold(parent === undefined ? [] : [parent])
    const order = { staged: staged.name, id, lowers: this.#chainFrom(parent), implied: facts.implied }
    const size = await this.#threads.keeper.call('commit', order)
    staged.moved()
    const where = { id, diffId: staged.diffId, ...(parent === undefined ? {} : { parent }) }
    const used = { usedBytes: size.bytes, inodesUsed: size.inodes }
    const layer = this.#view.addLayer({ ...where, facts, ...used, committedAt: new Date() }, false)
    if (staged.lostBefore === this.#lost.times) return layer
    await this.#withdraw([layer])
    return fail(this.missing(id))
  }

  /** A layer and those below it, nearest first. */
  #chainFrom(top: LayerId | undefined): readonly LayerId[] {
    const chain: LayerId[] = []
    for (let id = top; id !== undefined; ) {
      const { layer }: { layer: StoredLayer } = this.#view.layer(id) ?? fail(this.missing(id))
      chain.push(id)
      id = layer.parent
    }
    return chain
  }

  /** What images and leases hold, and everything below. */
  #held(): ReadonlySet<LayerId> {
    const held = new Set<LayerId>()
    const leased = [...this.#leases].flatMap((layers) => [...layers])
    const inImages = this.#view.images().flatMap(({ layerIds }) => layerIds)
    for (const top of [...leased, ...inImages]) {
      for (let id: LayerId | undefined = top; id !== undefined && !held.has(id); id = this.#view.layer(id)?.layer.parent)
        held.add(id)
    }
    return held
  }

  /**
   * Takes layers away; they come parents first, as the view has them, and go children first. They are out of sight at once; should the
   * disk fail then, the next start finds what is left.
   */
  async #withdraw(layers: readonly StoredLayer[]): Promise<void> {
    if (layers.length === 0) return
    const ids = layers.map(({ id }) => id).reverse()
    for (const id of ids) this.#view.dropLayer(id)
    await this.#threads.keeper.call('withdraw', ids)
    // Out of the way once they are renamed; nobody waits for the files to be unlinked.
    this.#threads.sweeper.sweepLater()
  }

  async #discard(dir: string): Promise<void> {
    await rename(dir, join(this.#at.trash, randomUUID())).catch((error) => {
      throw asWindlassError(error)
    })
    this.#threads.sweeper.sweepLater()
  }
}
