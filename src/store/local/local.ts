/**
 * The store on this node's own disk. The main thread answers from memory (`View`); everything that changes the disk goes to the keeper's
 * thread and is done there in the order it was asked, so what memory says follows what the disk says.
 */
import { randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, statSync } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { asWindlassError, type Failure, fail, WindlassError } from '../../failure/failure.ts'
import { type DiffId, type Digest, type LayerId, layerIdAbove, layerIds } from '../../oci/digest.ts'
import type { Abortable } from '../../task/task.ts'
import type { UnpackedFacts } from '../facts.ts'
import type { Lease, NewImage, Published, StagedLayer, Store, StoredImage, StoredLayer, Usage } from '../store.ts'
import type { KeeperDuties, Outcome, PublishOrder } from './keeper.ts'
import { type Layout, layoutOf } from './layout.ts'
import { Leases } from './leases.ts'
import { lockRoot } from './lock.ts'
import { type StoreLog, silent } from './log.ts'
import { Sealer } from './sealer.ts'
import { Sweeper } from './sweeper.ts'
import { beside, Thread } from './thread.ts'
import { View } from './view.ts'

export type LocalStoreOptions = {
  /** Made (0700) where it is not there. */
  readonly root: string
  readonly log?: StoreLog
}

/**
 * Opens the store at `root`, alone, and makes disk and database agree: what a crash left behind is gone, and a damaged database is set
 * aside. Throws root-in-use, unsupported (a newer schema), no-space, system, cancelled.
 */
export async function openLocalStore({ root, log = silent }: LocalStoreOptions, { signal }: Abortable): Promise<Store> {
  if (signal.aborted) throw asWindlassError(signal.reason)
  const at = layoutOf(resolve(root))
  await using open = new AsyncDisposableStack()
  makeRoot(at.root, log)
  open.use(lockRoot(at.root, at.lock))
  const keeper = open.use(new Thread<KeeperDuties>(beside(import.meta.url, 'keeper'), 'store keeper', at.root, log))
  const sweeper = open.use(new Sweeper(at.trash, log))
  const { layers, images, trash } = await keeper.call('open', null)
  if (signal.aborted) throw asWindlassError(signal.reason)
  const view = new View(at)
  for (const layer of layers) view.addLayer(layer, true)
  for (const { image, names } of images) view.addImage(image, names)
  if (trash) sweeper.sweepLater()
  log.info({ root: at.root, images: images.length, layers: layers.length }, 'store open')
  return new LocalStore(at, view, { keeper, sweeper, all: open.move() })
}

function makeRoot(root: string, log: StoreLog): void {
  try {
    const made = mkdirSync(root, { recursive: true, mode: 0o700 })
    // mkdir's mode is cut by the umask, and only the last directory's is meant.
    if (made !== undefined) chmodSync(root, 0o700)
    else if ((statSync(root).mode & 0o077) !== 0)
      log.warn({ root }, 'other users can enter this root; what is below it they cannot')
  } catch (error) {
    throw asWindlassError(error)
  }
}

type Threads = { readonly keeper: Thread<KeeperDuties>; readonly sweeper: Sweeper; readonly all: AsyncDisposableStack }

class LocalStore implements Store {
  readonly root: string
  readonly overlayDir: string
  readonly #at: Layout
  readonly #view: View
  readonly #threads: Threads
  readonly #leases = new Leases()
  readonly #committing = new Map<LayerId, Promise<StoredLayer>>()
  readonly #sealer = new Sealer<NewImage, Published>((images) => this.#seal(images))
  /** How often a sync has failed, and how: files written before a failed sync may be lost although a later one succeeds (fsync(2)). */
  #lost: { readonly times: number; readonly failure?: Failure } = { times: 0 }
  #closed = false

  constructor(at: Layout, view: View, threads: Threads) {
    this.root = at.root
    this.overlayDir = at.overlay
    this.#at = at
    this.#view = view
    this.#threads = threads
  }

  find(name: string): StoredImage | undefined {
    return this.#view.find(name)
  }

  images(): readonly StoredImage[] {
    return this.#view.images()
  }

  layer(id: LayerId): StoredLayer | undefined {
    return this.#view.layer(id)?.layer
  }

  layerByDiffId(diffId: DiffId): StoredLayer | undefined {
    return this.#view.layerByDiffId(diffId)
  }

  usage(): Usage {
    return this.#view.usage()
  }

  lease(): Lease {
    return this.#leases.open()
  }

  async stage(diffId: DiffId): Promise<StagedLayer> {
    const name = randomUUID()
    const dir = join(this.#at.staging, name)
    await mkdir(dir, { mode: 0o700 }).catch((error) => {
      throw asWindlassError(error)
    })
    return new Staged(name, dir, diffId, this.#lost.times, () => this.#discard(dir))
  }

  async commit(staged: StagedLayer, facts: UnpackedFacts, parent: StoredLayer | undefined): Promise<StoredLayer> {
    if (!(staged instanceof Staged)) fail({ kind: 'internal', what: 'commit of a layer that was not staged here' })
    const id = layerIdAbove(parent?.id, staged.diffId)
    // Another pull's commit of the same layer: its failure is for that pull to hear of, ours is then tried.
    for (let other = this.#committing.get(id); other !== undefined; other = this.#committing.get(id))
      await other.catch(() => undefined)
    const inPlace = this.layer(id)
    if (inPlace !== undefined) {
      await staged[Symbol.asyncDispose]()
      return inPlace
    }
    const committed = this.#commit(id, staged, facts, parent).finally(() => this.#committing.delete(id))
    this.#committing.set(id, committed)
    return committed
  }

  async publish(image: NewImage, { signal }: Abortable): Promise<Published> {
    using hold = this.lease()
    for (const id of layerIds(image.config.diffIds)) hold.retain(id)
    return await this.#sealer.add(compact(image), signal)
  }

  async remove(id: Digest): Promise<boolean> {
    const changed = await this.#threads.keeper.call('remove', id)
    this.#view.change(changed)
    return changed.gone.length > 0
  }

  async untag(tag: string): Promise<boolean> {
    const changed = await this.#threads.keeper.call('untag', tag)
    this.#view.change(changed)
    return changed.gone.length + changed.names.length > 0
  }

  async collect(): Promise<readonly StoredLayer[]> {
    const held = this.#held()
    const loose = [...this.#view.layers()].map(({ layer }) => layer).filter(({ id }) => !held.has(id))
    if (loose.length > 0) await this.#withdraw(loose)
    return loose
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#threads.keeper.call('close', null)
    await this.#threads.all.disposeAsync()
  }

  async #commit(id: LayerId, staged: Staged, facts: UnpackedFacts, parent: StoredLayer | undefined): Promise<StoredLayer> {
    using hold = this.lease()
    if (parent !== undefined) hold.retain(parent.id)
    const lowers = parent === undefined ? [] : this.#chainFrom(parent.id)
    const size = await this.#threads.keeper.call('commit', { staged: staged.name, id, lowers, implied: facts.implied })
    staged.moved()
    const where = { id, diffId: staged.diffId, ...(parent === undefined ? {} : { parent: parent.id }) }
    const layer = this.#view.addLayer(
      { ...where, facts, usedBytes: size.bytes, inodesUsed: size.inodes, committedAt: new Date() },
      false,
    )
    if (staged.lostBefore === this.#lost.times) return layer
    await this.#withdraw([layer])
    return fail(this.#missing(id))
  }

  /** A layer and those below it, nearest first. */
  #chainFrom(top: LayerId): readonly LayerId[] {
    const chain: LayerId[] = []
    for (let id: LayerId | undefined = top; id !== undefined; id = this.layer(id)?.parent) {
      if (this.layer(id) === undefined) fail(this.#missing(id))
      chain.push(id)
    }
    return chain
  }

  #missing(id: LayerId): Failure {
    return this.#lost.failure ?? { kind: 'internal', what: `layer ${id} is needed, and was never committed or no lease held it` }
  }

  /** Publishes a group of images behind one sync. */
  async #seal(images: readonly NewImage[]): Promise<readonly (Published | WindlassError)[]> {
    const orders = images.map((image) => this.#orderFor(image))
    const possible = orders.flatMap((order) => (order instanceof WindlassError ? [] : [order]))
    if (possible.length === 0) return orders.filter((order) => order instanceof WindlassError)
    const sealed = await this.#threads.keeper.call('seal', possible)
    if (sealed.kind === 'unsynced') {
      await this.#dropUnsynced(sealed.failure)
      return images.map(() => new WindlassError(sealed.failure))
    }
    const outcomes = new Map(possible.map((order, i) => [order, sealed.outcomes[i]]))
    return orders.map((order) =>
      order instanceof WindlassError ? order : this.#published(order, outcomes.get(order), sealed.syncMs),
    )
  }

  #orderFor(image: NewImage): PublishOrder | WindlassError {
    const chain = layerIds(image.config.diffIds).map((id) => this.#view.layer(id) ?? id)
    const missing = chain.find((layer) => typeof layer === 'string')
    if (missing !== undefined) return new WindlassError(this.#missing(missing))
    const known = chain.filter((layer) => typeof layer !== 'string')
    return { image, layers: known.filter(({ recorded }) => !recorded).map(({ record }) => record) }
  }

  #published({ image, layers }: PublishOrder, outcome: Outcome | undefined, syncMs: number): Published | WindlassError {
    if (outcome === undefined) return new WindlassError({ kind: 'internal', what: 'the keeper gave no answer for an image' })
    if (outcome.kind === 'failed') return new WindlassError(outcome.failure)
    for (const { id } of layers) {
      const known = this.#view.layer(id)
      if (known !== undefined) known.recorded = true
    }
    return { image: this.#view.publish(image, outcome.at, outcome.changed), syncMs, publishMs: outcome.publishMs }
  }

  /** After a failed sync nobody can say which of the files written before it are on disk: none of their layers may ever be published. */
  async #dropUnsynced(failure: Failure): Promise<void> {
    this.#lost = { times: this.#lost.times + 1, failure }
    const unsynced = [...this.#view.layers()].filter(({ recorded }) => !recorded).map(({ layer }) => layer)
    if (unsynced.length > 0) await this.#withdraw(unsynced)
  }

  /** What images and leases hold, and everything below. */
  #held(): ReadonlySet<LayerId> {
    const held = new Set<LayerId>()
    for (const top of [...this.#leases.held(), ...this.images().flatMap(({ layerIds: ids }) => ids)]) {
      for (let id: LayerId | undefined = top; id !== undefined && !held.has(id); id = this.layer(id)?.parent) held.add(id)
    }
    return held
  }

  /** Takes layers away; they come parents first, as the view has them, and go children first. */
  async #withdraw(layers: readonly StoredLayer[]): Promise<void> {
    const ids = layers.map(({ id }) => id).reverse()
    for (const id of ids) this.#view.dropLayer(id)
    await this.#threads.keeper.call('withdraw', ids)
    await this.#threads.sweeper.sweep()
  }

  async #discard(dir: string): Promise<void> {
    await rename(dir, join(this.#at.trash, randomUUID())).catch((error) => {
      throw asWindlassError(error)
    })
    if (!this.#closed) this.#threads.sweeper.sweepLater()
  }
}

/** A layer being unpacked; it goes into the trash when it is disposed before it was moved to its place. */
class Staged implements StagedLayer {
  readonly name: string
  readonly dir: string
  readonly diffId: DiffId
  /** How many syncs had failed when this was begun. */
  readonly lostBefore: number
  readonly #discard: () => Promise<void>
  #here = true

  constructor(name: string, dir: string, diffId: DiffId, lostBefore: number, discard: () => Promise<void>) {
    this.name = name
    this.dir = dir
    this.diffId = diffId
    this.lostBefore = lostBefore
    this.#discard = discard
  }

  moved(): void {
    this.#here = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#here) return
    this.#here = false
    await this.#discard()
  }
}

/** The documents in memory of their own: a slice would keep alive, and send along, the whole buffer it was cut from. */
function compact(image: NewImage): NewImage {
  const { indexBytes } = image
  const documents = { configBytes: Uint8Array.from(image.configBytes), manifestBytes: Uint8Array.from(image.manifestBytes) }
  return { ...image, ...documents, ...(indexBytes === undefined ? {} : { indexBytes: Uint8Array.from(indexBytes) }) }
}
