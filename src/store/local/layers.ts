/** The store's layers: from staging into the graph, held by leases and images, and out again through the trash. */
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { asWindlassError, type Failure, fail } from '../../failure/failure.ts'
import { type DiffId, type LayerId, layerIdAbove } from '../../oci/digest.ts'
import { Staged } from '../common/staged.ts'
import type { Sweeper } from '../common/sweeper.ts'
import { Unsynced } from '../common/unsynced.ts'
import type { Damage, UnpackedFacts } from '../facts.ts'
import type { HeldLayer, Inventory, OwnLayer, StagedLayer, StoredLayer } from '../store.ts'
import type { KnownLayer } from './known-layer.ts'
import type { Layout } from './layout.ts'
import { addChain, type Leases } from './leases.ts'
import { mountedLayers } from './mounted.ts'
import type { LayerBrief } from './records.ts'
import type { SettledKeeper } from './settled.ts'
import type { View } from './view.ts'

/** How long a collection waits for a reader to end: podman reads for as long as it unpacks a layer of its own. */
const READER_ATTEMPTS = 50
const READER_PAUSE_MS = 100

/** The threads that do what is decided here. */
export type Threads = { readonly keeper: SettledKeeper; readonly sweeper: Sweeper }

export class Layers {
  readonly #at: Layout
  readonly #view: View
  readonly #threads: Threads
  readonly #leases: Leases
  /** Layers on their way in or out; each is only touched again once that is over. */
  readonly #moving = new Map<LayerId, Promise<unknown>>()
  readonly #unsynced = new Unsynced()
  /** What is in the trash of layers that were here. */
  #leaving: Inventory['leaving'] = { bytes: 0, inodes: 0 }

  constructor(at: Layout, view: View, leases: Leases, threads: Threads) {
    this.#at = at
    this.#view = view
    this.#leases = leases
    this.#threads = threads
  }

  async stage(diffId: DiffId): Promise<StagedLayer> {
    const name = randomUUID()
    const dir = join(this.#at.staging, name)
    await mkdir(dir, { mode: 0o700 }).catch((error) => {
      throw asWindlassError(error)
    })
    return new Staged(name, dir, diffId, this.#unsynced.times, (place) => this.#threads.sweeper.discard(place))
  }

  async commit(staged: StagedLayer, facts: UnpackedFacts, parent: LayerId | undefined): Promise<StoredLayer> {
    if (!(staged instanceof Staged)) fail({ kind: 'internal', what: 'commit of a layer that was not staged here' })
    const id = layerIdAbove(parent, staged.diffId)
    // Another pull's commit of the same layer, or a collection: its failure is for those to hear of who asked for it.
    for (let other = this.#moving.get(id); other !== undefined; other = this.#moving.get(id)) await other.catch(() => undefined)
    const inPlace = this.#view.layer(id)
    if (inPlace !== undefined && inPlace.record.damage === undefined) {
      await staged[Symbol.asyncDispose]()
      return inPlace.layer
    }
    const work = inPlace === undefined ? this.#move(id, staged, facts, parent) : this.#replace(id, staged, parent)
    const committed = work.finally(() => this.#moving.delete(id))
    this.#moving.set(id, committed)
    return committed
  }

  damaged(): readonly OwnLayer[] {
    return [...this.#view.layers()].flatMap((known) => (known.record.damage === undefined ? [] : [known.layer]))
  }

  /** A layer on its way in or out is waited for: it may be another afterwards. */
  async mark(layer: StoredLayer, damage: Damage | undefined): Promise<void> {
    const { id } = layer
    for (let other = this.#moving.get(id); other !== undefined; other = this.#moving.get(id)) await other.catch(() => undefined)
    if (this.#view.layer(id)?.layer !== layer) return
    await this.#during([id], this.#setDamage(id, damage))
  }

  /** Whatever is asked of others is asked first: from the answer on, nothing can come in between. Throws system. */
  async look(): Promise<Inventory> {
    const adopted = await this.#threads.keeper.call('adopted', null)
    const layers = [...this.#view.layers()].map(heldLayer)
    const mounted = mountedLayers(layers.map(({ id }) => id))
    const holders = { leased: this.#leases.leased('pull'), read: this.#leases.leased('read'), mounted, adopted }
    return { images: this.#view.images(), layers, holders, leaving: this.#leaving }
  }

  /** While podman or CRI-O reads, it is tried again for a while; then what is free stays until the next time. */
  async collect(): Promise<readonly HeldLayer[]> {
    for (let attempt = 1; ; attempt++) {
      const gone = await this.#withdraw(this.#loose())
      if (gone !== 'busy') return gone
      if (attempt === READER_ATTEMPTS) return []
      await setTimeout(READER_PAUSE_MS)
    }
  }

  /** What nothing on this node needs as far as we can tell, children before their parents. */
  #loose(): readonly KnownLayer[] {
    const held = this.#held()
    const free = [...this.#view.layers()].filter(({ record }) => !held.has(record.id))
    const mounted = mountedLayers(free.map(({ record }) => record.id))
    return free
      .filter(({ record }) => !mounted.has(record.id))
      .map((known) => ({ known, height: this.#height(known.record) }))
      .sort((a, b) => b.height - a.height)
      .map(({ known }) => known)
  }

  /** After a failed sync nobody can say which of the files written before it are on disk: none of their layers may ever be published. */
  async dropUnsynced(failure: Failure): Promise<void> {
    this.#unsynced.failed(failure)
    const unsynced = [...this.#view.layers()].filter((known) => known.unrecorded !== undefined)
    // Never shown to anybody, so nobody is in the way.
    await this.#withdraw(unsynced.reverse())
  }

  /** Why a layer that an image needs is not here. */
  missing(id: LayerId): Failure {
    return this.#unsynced.missing(id)
  }

  async #move(id: LayerId, staged: Staged, facts: UnpackedFacts, parent: LayerId | undefined): Promise<StoredLayer> {
    using _hold = this.#leases.hold(parent === undefined ? [] : [parent])
    const order = { staged: staged.name, id, lowers: this.#chainFrom(parent) }
    const size = await this.#threads.keeper.call('commit', order)
    staged.moved()
    const where = { id, diffId: staged.diffId, ...(parent === undefined ? {} : { parent }) }
    const used = { usedBytes: size.bytes, inodesUsed: size.inodes }
    const record = { ...where, facts, owners: size.owners, ...used, committedAt: new Date() }
    const { layer } = this.#view.addLayer(record, record)
    if (staged.lostBefore === this.#unsynced.times) return layer
    const unsynced = this.#view.layer(id)
    await this.#withdraw(unsynced === undefined ? [] : [unsynced])
    return fail(this.missing(id))
  }

  async #replace(id: LayerId, staged: Staged, parent: LayerId | undefined): Promise<StoredLayer> {
    using _hold = this.#leases.hold([id])
    this.#unsynced.check(id, staged)
    const order = { staged: staged.name, id, lowers: this.#chainFrom(parent) }
    const { bytes, inodes, owners } = await this.#threads.keeper.call('replace', order)
    staged.moved()
    this.#threads.sweeper.sweepLater()
    const { damage } = this.#view.layer(id)?.record ?? fail(this.missing(id))
    const layer = this.#view.replaceTree(id, { owners, usedBytes: bytes, inodesUsed: inodes })
    if (layer !== undefined && staged.lostBefore === this.#unsynced.times) return layer
    // A sync failed while it was on its way: nobody can say what of it is on disk.
    await this.#setDamage(id, damage)
    return fail(this.missing(id))
  }

  async #setDamage(id: LayerId, damage: Damage | undefined): Promise<void> {
    await this.#threads.keeper.call('mark', { id, damage })
    this.#view.markLayer(id, damage)
  }

  /** A layer and those below it, nearest first. */
  #chainFrom(top: LayerId | undefined): readonly LayerId[] {
    const chain: LayerId[] = []
    for (let id = top; id !== undefined; ) {
      const { record }: { record: LayerBrief } = this.#view.layer(id) ?? fail(this.missing(id))
      chain.push(id)
      id = record.parent
    }
    return chain
  }

  /** How many layers lie below. */
  #height({ parent }: LayerBrief): number {
    let height = 0
    for (let id = parent; id !== undefined; id = this.#view.layer(id)?.record.parent) height++
    return height
  }

  /** What images and leases hold, and everything below. */
  #held(): ReadonlySet<LayerId> {
    const held = new Set([...this.#leases.leased('pull'), ...this.#leases.leased('read')])
    for (const top of this.#view.images().flatMap(({ layerIds }) => layerIds)) addChain(this.#view, top, held)
    return held
  }

  /**
   * Takes layers away, children before their parents. They are out of sight at once, so that nobody begins to need one; those that must
   * stay are back when the answer is. Should the disk fail, the next start finds what is left.
   */
  async #withdraw(layers: readonly KnownLayer[]): Promise<readonly HeldLayer[] | 'busy'> {
    if (layers.length === 0) return []
    const ids = layers.map(({ record }) => record.id)
    for (const id of ids) this.#view.dropLayer(id)
    const asked = this.#threads.keeper.call('withdraw', ids)
    const answer = await this.#during(ids, asked)
    const kept = new Set(answer.kind === 'asked' ? answer.kept : ids)
    for (const { record, unrecorded } of layers.toReversed()) if (kept.has(record.id)) this.#view.addLayer(record, unrecorded)
    if (answer.kind === 'busy') return 'busy'
    if (answer.kind === 'failed') return fail(answer.failure)
    const gone = layers.filter(({ record }) => !kept.has(record.id)).map(heldLayer)
    // Out of the way once they are renamed; nobody waits for the files to be unlinked.
    if (gone.length > 0) this.#unlink(gone)
    return gone
  }

  #unlink(gone: readonly HeldLayer[]): void {
    const count = (sign: 1 | -1): void => {
      const { bytes, inodes } = this.#leaving
      this.#leaving = {
        bytes: bytes + sign * gone.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
        inodes: inodes + sign * gone.reduce((sum, { inodesUsed }) => sum + inodesUsed, 0),
      }
    }
    count(1)
    this.#threads.sweeper.sweepLater()
    void this.#threads.sweeper.idle().then(() => count(-1))
  }

  /** Keeps commits of these layers waiting until `work` is over: one that has to stay must not be replaced meanwhile. */
  async #during<T>(ids: readonly LayerId[], work: Promise<T>): Promise<T> {
    const ours = ids.filter((id) => !this.#moving.has(id))
    for (const id of ours) this.#moving.set(id, work)
    try {
      return await work
    } finally {
      for (const id of ours) this.#moving.delete(id)
    }
  }
}

const heldLayer = ({ layer, record: { usedBytes, inodesUsed } }: KnownLayer): HeldLayer => ({ ...layer, usedBytes, inodesUsed })
