/**
 * The store on this node's own disk. The main thread answers from memory (`View`); everything that changes the disk goes to the keeper's
 * thread and is done there in the order it was asked, so what memory says follows what the disk says.
 */
import { resolve } from 'node:path'
import { asWindlassError, WindlassError } from '../../failure/failure.ts'
import { type DiffId, type Digest, type LayerId, layerIds } from '../../oci/digest.ts'
import { beside } from '../../task/beside.ts'
import type { Abortable } from '../../task/task.ts'
import { lockRoot } from '../common/lock.ts'
import { type StoreLog, silent } from '../common/log.ts'
import { makeRoot } from '../common/root.ts'
import { Sealer } from '../common/sealer.ts'
import { Sweeper } from '../common/sweeper.ts'
import { Thread } from '../common/thread.ts'
import type { UnpackedFacts } from '../facts.ts'
import { type Pin, type PinRule, standing } from '../pins.ts'
import type { ReceiptBook } from '../receipts.ts'
import type {
  CopyableLayer,
  Health,
  HeldLayer,
  Holdings,
  Lease,
  LeaseUse,
  NewImage,
  Published,
  StagedLayer,
  Store,
  StoredImage,
  StoredLayer,
  Usage,
} from '../store.ts'
import { Diary } from './diary.ts'
import { LocalHoldings } from './holdings.ts'
import type { KeeperData, KeeperDuties } from './keeper.ts'
import { Layers, type Threads } from './layers.ts'
import { type Layout, layoutOf } from './layout.ts'
import { Leases } from './leases.ts'
import { checkUnmounted } from './replace.ts'
import type { Outcome, PublishOrder } from './seal.ts'
import { SettledKeeper } from './settled.ts'
import { View } from './view.ts'

export type LocalStoreOptions = {
  /** Made (0700) where it is not there. */
  readonly root: string
  readonly log?: StoreLog
  /**
   * The stores of podman and CRI-O that read this one: layers they build on are not removed. By default what their configuration
   * files name (storage-conf.ts); what was given to one of them on its command line must be named here.
   */
  readonly primaryGraphRoots?: readonly string[]
  /** What is pinned by name; by default nothing. */
  readonly pinRules?: readonly PinRule[]
  /** Images are recorded without a sync: after a power cut they may be shown, and their files not be there. */
  readonly isLazy?: boolean
  /**
   * For who has to answer before anything else: what no question waits for (recover.ts, `settle`) is left to the first change or
   * collection, in place of being begun at once.
   */
  readonly settlesLater?: boolean
  /** Called once if the store can no longer change anything, because its thread has died: only a new process can. */
  readonly onLost?: (error: Error) => void
}

/**
 * Opens the store at `root`, alone, and makes disk and database agree: what a crash left behind goes before the first change, and a
 * damaged database is set aside and made anew of the other records. Throws root-in-use, unsupported (a newer schema), no-space, system, cancelled.
 */
export async function openLocalStore(
  { root, primaryGraphRoots, pinRules, isLazy = false, settlesLater = false, log = silent, onLost }: LocalStoreOptions,
  { signal }: Abortable,
): Promise<Store> {
  if (signal.aborted) throw asWindlassError(signal.reason)
  const at = layoutOf(resolve(root))
  await using open = new AsyncDisposableStack()
  makeRoot(at.root, log)
  open.use(lockRoot(at.root, at.lock))
  const data: KeeperData = { root: at.root, isLazy, ...(primaryGraphRoots === undefined ? {} : { primaryGraphRoots }) }
  const keeper = open.use(new Thread<KeeperDuties>(beside(import.meta.url, 'keeper'), 'store keeper', data, log, onLost))
  const sweeper = open.use(new Sweeper(at.trash, log))
  const { layers, images } = await keeper.call('open', null)
  if (signal.aborted) throw asWindlassError(signal.reason)
  const view = new View(at, pinRules)
  for (const layer of layers) view.addLayer(layer)
  for (const { image, names, pins } of images) view.addImage(image, names, pins)
  const settled = new SettledKeeper(keeper, sweeper, log, onLost)
  if (!settlesLater) void settled.settle()
  log.info({ root: at.root, images: images.length, layers: layers.length }, 'store open')
  return new LocalStore(at, view, { keeper: settled, sweeper }, log, open.move())
}

class LocalStore implements Store {
  readonly root: string
  readonly overlayDir: string
  readonly holdings: Holdings
  readonly health: Health
  readonly receipts: ReceiptBook
  readonly #view: View
  readonly #keeper: SettledKeeper
  readonly #leases: Leases
  readonly #layers: Layers
  readonly #sealer = new Sealer<NewImage, Published>((images) => this.#seal(images))
  readonly #diary: Diary
  readonly #open: AsyncDisposableStack
  #closed = false

  /** `open` is what closes with the store: the threads, then the lock. */
  constructor(at: Layout, view: View, threads: Threads, log: StoreLog, open: AsyncDisposableStack) {
    this.root = at.root
    this.overlayDir = at.overlay
    this.#view = view
    this.#keeper = threads.keeper
    this.#leases = new Leases(view)
    this.#layers = new Layers(at, view, this.#leases, threads)
    this.#diary = new Diary((notes) => this.#keeper.call('note', notes), log)
    this.#open = open
    this.holdings = new LocalHoldings(view, { ...threads, leases: this.#leases, layers: this.#layers, diary: this.#diary })
    this.receipts = {
      note: (image, receipt) => this.#diary.noteReceipt(image, receipt),
      of: async ({ id }) => {
        await this.#diary.flush()
        return (await this.#keeper.call('receipts', id)) ?? { receipts: [] }
      },
    }
    this.health = {
      damaged: () => this.#layers.damaged(),
      mark: (layer, damage) => this.#layers.mark(layer, damage),
      checkReplaceable: ({ id }) => checkUnmounted(id),
    }
  }

  layerIds(diffIds: readonly DiffId[]): readonly LayerId[] {
    return layerIds(diffIds)
  }

  async find(name: string): Promise<StoredImage | undefined> {
    return this.#view.find(name)
  }

  async images(): Promise<readonly StoredImage[]> {
    return this.#view.images()
  }

  async layer(id: LayerId): Promise<StoredLayer | undefined> {
    return this.#view.layer(id)?.layer
  }

  async layerByDiffId(diffId: DiffId): Promise<CopyableLayer | undefined> {
    return this.#view.layerByDiffId(diffId)
  }

  async usage(): Promise<Usage> {
    return this.#view.usage()
  }

  lease(use: LeaseUse = 'pull'): Lease {
    return this.#leases.lease(use)
  }

  stage(diffId: DiffId): Promise<StagedLayer> {
    return this.#layers.stage(diffId)
  }

  commit(staged: StagedLayer, facts: UnpackedFacts, parent: StoredLayer | undefined): Promise<StoredLayer> {
    return this.#layers.commit(staged, facts, parent?.id)
  }

  async collect(): Promise<readonly HeldLayer[]> {
    await this.#keeper.settle()
    return await this.#layers.collect()
  }

  async publish(image: NewImage, { signal }: Abortable): Promise<Published> {
    using _hold = this.#leases.hold(layerIds(image.config.diffIds))
    return await this.#sealer.add(compact(image), signal)
  }

  async remove(id: Digest): Promise<boolean> {
    const changed = await this.#keeper.call('remove', id)
    this.#view.change(changed)
    return changed.gone.length > 0
  }

  async untag(tag: string): Promise<boolean> {
    const changed = await this.#keeper.call('untag', tag)
    this.#view.change(changed)
    return changed.gone.length + changed.names.length > 0
  }

  async pin(id: Digest, pin: Pin): Promise<boolean> {
    const isSet = await this.#keeper.call('pin', { image: id, pin })
    if (isSet) this.#view.setPins(id, [...standing(this.#view.pins(id)).filter(({ owner }) => owner !== pin.owner), pin])
    return isSet
  }

  async unpin(id: Digest, owner?: string): Promise<readonly Pin[]> {
    await this.#keeper.call('unpin', { image: id, owner })
    const isMeant = (pin: Pin): boolean => owner === undefined || pin.owner === owner
    const before = this.#view.pins(id)
    this.#view.setPins(
      id,
      before.filter((pin) => !isMeant(pin)),
    )
    return before.filter(isMeant)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.#diary.close()
      await this.#keeper.call('close', null)
    } finally {
      await this.#open.disposeAsync()
    }
  }

  /** Publishes a group of images behind one sync. */
  async #seal(images: readonly NewImage[]): Promise<readonly (Published | WindlassError)[]> {
    const orders = images.map((image) => this.#orderFor(image))
    const possible = orders.flatMap((order) => (order instanceof WindlassError ? [] : [order]))
    const sealed = await this.#keeper.call('seal', possible)
    if (sealed.kind === 'unsynced') {
      // They are out of sight whether or not the disk, which has just failed, lets them be moved away.
      const alsoFailed = await this.#layers.dropUnsynced(sealed.failure).catch((error) => error)
      return images.map(() => new WindlassError(sealed.failure, alsoFailed))
    }
    const outcomes = new Map(possible.map((order, i) => [order, sealed.outcomes[i]]))
    return orders.map((order) =>
      order instanceof WindlassError ? order : this.#published(order, outcomes.get(order), sealed.syncMs),
    )
  }

  #orderFor(image: NewImage): PublishOrder | WindlassError {
    const chain = layerIds(image.config.diffIds).map((id) => this.#view.layer(id) ?? id)
    const missing = chain.find((layer) => typeof layer === 'string')
    if (missing !== undefined) return new WindlassError(this.#layers.missing(missing))
    const known = chain.filter((layer) => typeof layer !== 'string')
    return { image, layers: known.flatMap(({ unrecorded }) => unrecorded ?? []) }
  }

  #published({ image, layers }: PublishOrder, outcome: Outcome | undefined, syncMs: number): Published | WindlassError {
    if (outcome === undefined) return new WindlassError({ kind: 'internal', what: 'the keeper gave no answer for an image' })
    if (outcome.kind === 'failed') return new WindlassError(outcome.failure)
    for (const { id } of layers) this.#view.recorded(id)
    return { image: this.#view.publish(outcome.image, image.digest, outcome.changed), syncMs, publishMs: outcome.publishMs }
  }
}

/** The documents in memory of their own: a slice would keep alive, and send along, the whole buffer it was cut from. */
function compact(image: NewImage): NewImage {
  const { indexBytes } = image
  const documents = { configBytes: Uint8Array.from(image.configBytes), manifestBytes: Uint8Array.from(image.manifestBytes) }
  return { ...image, ...documents, ...(indexBytes === undefined ? {} : { indexBytes: Uint8Array.from(indexBytes) }) }
}
