/**
 * Images in a containerd that runs on this node, through its own services: leases, content, snapshots, images. It is the one truth; what
 * is here beside it are layers on their way.
 *
 *     stage, in a leased snapshot → commit: a place in the chain, in memory → publish: one syncfs, then for each layer Prepare, rename,
 *     fsync, Commit; then documents and records
 *
 * What containerd no longer needs it collects itself. What this store leaves behind, however it ends, hangs on leases that expire.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { asWindlassError, fail } from '../../failure/failure.ts'
import { type DiffId, type Digest, hexOf, type LayerId, sha256 } from '../../oci/digest.ts'
import type { Platform } from '../../oci/oci.ts'
import { connect } from '../../rpc/client.ts'
import { beside } from '../../task/beside.ts'
import type { Abortable } from '../../task/task.ts'
import { lockRoot } from '../common/lock.ts'
import type { StoreLog } from '../common/log.ts'
import { LOCK, makeRoot, RECEIPTS } from '../common/root.ts'
import { Sweeper } from '../common/sweeper.ts'
import { Thread } from '../common/thread.ts'
import type { Expiries } from '../expiry.ts'
import type { UnpackedFacts } from '../facts.ts'
import type { Pin } from '../pins.ts'
import type {
  BlobKeeper,
  CopyableLayer,
  Evictions,
  Lease,
  NewImage,
  OwnLayer,
  Published,
  StagedLayer,
  Store,
  StoredImage,
  StoredLayer,
  Usage,
} from '../store.ts'
import { Blobs } from './blobs.ts'
import { Catalog } from './catalog.ts'
import { Daemon } from './daemon.ts'
import { Evictor } from './eviction.ts'
import { RecordExpiries } from './expiries.ts'
import { Holds } from './holds.ts'
import { Lander, type LandingParts } from './landing.ts'
import { Leases } from './leases.ts'
import type { MoverDuties } from './mover.ts'
import { chainIdOf, layerIdsOf } from './names.ts'
import { Names } from './naming.ts'
import { Pending } from './pending.ts'
import { RecordPins } from './pins.ts'
import { ReceiptFiles } from './receipts.ts'
import { Snapshots } from './snapshots.ts'
import { StagedLayers } from './staged-layers.ts'
import { Staging } from './staging.ts'
import { TarSplits } from './tar-splits.ts'
import { Upkeep } from './upkeep.ts'

export type ContainerdStoreOptions = {
  /** Our own root: tells this store's leases from others'. */
  readonly root: string
  readonly socket: string
  readonly platform: Platform
  /** The tag of an image that must stay, whatever kubelet's collection thinks. */
  readonly pinned?: string
  /** Keeps layers' blobs in containerd's content store, for peers and for `ctr image export`. */
  readonly keepBlobs?: boolean
  /** Where its images go, in place of the CRI plugin's namespace: that plugin then knows nothing of them, and is not waited for. */
  readonly namespace?: string
  /** Images are recorded without a sync: after a power cut they may be shown, and their files not be there. */
  readonly isLazy?: boolean
  /** containerd's own root; else it is taken to be where its snapshots are. */
  readonly containerdRoot?: string
  readonly log: StoreLog
  /** Called once if the store can no longer change anything: only a new process can. */
  readonly onLost?: (error: Error) => void
}

/** How long the CRI plugin may take to tell what the disk holds. */
const USAGE_MS = 10_000

/** A store with the directory its layers are staged in, and the one they wait in for their place. */
export type ContainerdStore = Store & { readonly stagingDir: string; readonly landedDir: string }

/** Opens the store. Throws runtime-down where containerd does not answer, unsupported for a snapshotter we cannot land in, invalid-argument for a root of another program's. */
export async function openContainerdStore(options: ContainerdStoreOptions, { signal }: Abortable): Promise<ContainerdStore> {
  if (signal.aborted) throw asWindlassError(signal.reason)
  const { root, socket, platform, namespace, containerdRoot, log, onLost, pinned, keepBlobs = false, isLazy = false } = options
  await using open = new AsyncDisposableStack()
  // One process a root: the next thing we do is to drop the leases of whoever had it before.
  makeRoot(root, log)
  open.use(lockRoot(root, join(root, LOCK)))
  const daemon = open.use(new Daemon(socket, undefined, namespace))
  // Whoever gives up while it is opened need not wait for its calls.
  const stop = (): void => daemon[Symbol.dispose]()
  signal.addEventListener('abort', stop, { once: true })
  using _opening = { [Symbol.dispose]: () => signal.removeEventListener('abort', stop) }
  const cri = open.use(await connect(socket, { signal, runtime: 'containerd' }))
  const leases = new Leases(daemon, hexOf(sha256(root)).slice(0, 32), log)
  const abandoned = await leases.abandoned()
  const staging = open.use(await Staging.open(daemon, leases, log))
  const sweeper = open.use(new Sweeper(staging.trash, log))
  const mover = open.use(new Thread<MoverDuties>(beside(import.meta.url, 'mover'), 'store mover', staging.incoming, log, onLost))
  const snapshots = new Snapshots(daemon, staging, mover, onLost)
  const [catalog, names] = [new Catalog(daemon, platform), new Names(daemon)]
  const [pending, holds] = [new Pending(), new Holds(leases)]
  const tarSplits = open.use(new TarSplits({ root, staging: staging.incoming, snapshots, mover, log }))
  const staged = open.use(new StagedLayers({ staging, sweeper, mover, snapshots, pending, holds, log }))
  const contentDir = contentDirIn(containerdRoot ?? join(staging.snapshots, '..', '..'), log)
  const blobs = keepBlobs ? new Blobs(daemon, leases, holds) : undefined
  const receipts = open.use(new ReceiptFiles(join(root, RECEIPTS), log))
  await receipts.trim()
  const parts = { daemon, catalog, snapshots, leases, staging, holds, pending, sweeper, receipts, log }
  const evictions = await Evictor.open(root, parts)
  // Only now: they have held the documents of what was given back.
  await leases.drop(abandoned)
  log.info({ containerd: socket, staging: staging.incoming }, 'store open')
  const expiries = new RecordExpiries(catalog, names)
  if (pinned !== undefined) await expiries.pin(pinned)
  const pins = new RecordPins(catalog, names, expiries)
  open.use(new Upkeep({ daemon, catalog, expiries, pins, log }))
  if (signal.aborted) throw asWindlassError(signal.reason)
  const kept = { pending, holds, tarSplits, pinned, blobs, isLazy }
  const landing = {
    daemon,
    cri,
    isShownByCri: namespace === undefined,
    contentDir,
    sweeper,
    mover,
    snapshots,
    catalog,
    names,
    ...kept,
  }
  return new LandingStore(options, { ...landing, staging, staged, evictions, expiries, pins, receipts }, open.move())
}

/** Where blobs and documents lie, by their digests. */
function contentDirIn(root: string, log: StoreLog): string | undefined {
  const plugin = join(root, 'io.containerd.content.v1.content')
  if (existsSync(plugin)) return join(plugin, 'blobs', 'sha256')
  log.warn(
    { content: plugin },
    'the directory of its content is not there: after a power cut, images may have to be pulled again',
  )
  return undefined
}

/** What the store is made of. */
type StoreParts = LandingParts & {
  readonly staging: Staging
  readonly staged: StagedLayers
  readonly evictions: Evictions
  readonly expiries: Expiries
  readonly pins: RecordPins
  readonly receipts: ReceiptFiles
}

class LandingStore implements ContainerdStore {
  readonly root: string
  readonly overlayDir: string
  readonly stagingDir: string
  readonly landedDir: string
  readonly receipts: ReceiptFiles
  readonly blobs?: BlobKeeper
  readonly evictions: Evictions
  readonly expiries: Expiries
  readonly #parts: StoreParts
  readonly #lander: Lander
  readonly #onLost: ((error: Error) => void) | undefined
  readonly #open: AsyncDisposableStack

  /** `open` is what closes with the store. */
  constructor({ root, onLost }: ContainerdStoreOptions, parts: StoreParts, open: AsyncDisposableStack) {
    const { blobs, evictions, expiries, receipts, staging } = parts
    this.root = root
    this.receipts = receipts
    if (blobs !== undefined) this.blobs = blobs
    this.evictions = evictions
    this.expiries = expiries
    this.overlayDir = staging.snapshots
    this.stagingDir = staging.incoming
    this.landedDir = staging.landed
    this.#parts = parts
    this.#lander = new Lander(parts)
    this.#onLost = onLost
    this.#open = open
  }

  layerIds(diffIds: readonly DiffId[]): readonly LayerId[] {
    return layerIdsOf(diffIds)
  }

  find(name: string): Promise<StoredImage | undefined> {
    return this.#parts.catalog.find(name)
  }

  images(): Promise<readonly StoredImage[]> {
    return this.#parts.catalog.images()
  }

  async layer(id: LayerId): Promise<StoredLayer | undefined> {
    const staged = this.#parts.staged.find(id)
    if (staged !== undefined) return staged
    const found = await this.#parts.snapshots.find(id)
    return found === undefined ? undefined : await this.#withTarSplit(found)
  }

  /** Only what is staged: extractors may not read below containerd's snapshots, where the files of running containers are. */
  async layerByDiffId(diffId: DiffId): Promise<CopyableLayer | undefined> {
    return this.#parts.staged.byDiffId(diffId)
  }

  lease(): Lease {
    const { holds } = this.#parts
    const hold = holds.add()
    return {
      retain: async (layers) => {
        await holds.extend(hold, layers)
        const top = await this.#topmost(layers)
        if (top !== undefined) await (await hold.lease()).hold({ snapshot: chainIdOf(top) })
      },
      [Symbol.asyncDispose]: async () => {
        await hold[Symbol.asyncDispose]()
        this.#parts.staged.released(hold.ids)
      },
    }
  }

  stage(diffId: DiffId): Promise<StagedLayer> {
    return this.#parts.staged.stage(diffId, this.#onLost)
  }

  async commit(staged: StagedLayer, facts: UnpackedFacts, parent: StoredLayer | undefined): Promise<StoredLayer> {
    const layer = await this.#parts.staged.commit(staged, facts, parent)
    return this.#parts.staged.find(layer.id) ?? (await this.#withTarSplit(layer))
  }

  async publish(image: NewImage, { signal }: Abortable): Promise<Published> {
    const began = new Date()
    const published = await this.#lander.land(image, signal)
    if (image.receipt !== undefined) this.receipts.published(published.image, began, image.receipt)
    return published
  }

  async remove(id: Digest): Promise<boolean> {
    const { catalog, names } = this.#parts
    const records = await catalog.recordsOf(id)
    for (const { name } of records) await names.remove(name)
    return records.length > 0
  }

  async untag(tag: string): Promise<boolean> {
    const image = await this.find(tag)
    if (image === undefined || !image.tags.includes(tag)) return false
    const { names } = this.#parts
    await names.remove(tag)
    const repository = tag.slice(0, tag.lastIndexOf(':'))
    const isOf = (name: string): boolean => name.slice(0, name.search(/(?::[^/:]*|@.*)$/)) === repository
    const tags = image.tags.filter((other) => other !== tag)
    // With the last tag of a repository goes the digest name that came along with it.
    const gone = tags.some(isOf) ? [] : image.digests.filter((name) => name.startsWith(`${repository}@`))
    for (const name of gone) await names.remove(name)
    if (tags.length + image.digests.length - gone.length === 0) await this.remove(image.id)
    return true
  }

  async pin(id: Digest, pin: Pin): Promise<boolean> {
    return await this.#parts.pins.pin(id, pin)
  }

  async unpin(id: Digest, owner?: string): Promise<readonly Pin[]> {
    return await this.#parts.pins.unpin(id, owner)
  }

  /**
   * Snapshots are containerd's to collect, and layers of a pull that failed wait for its next attempt. What was kept of those that are gone is
   * swept by and by: a landing under way keeps its turn for as long as it takes.
   */
  async collect(): Promise<readonly OwnLayer[]> {
    void this.#parts.tarSplits.sweep()
    return []
  }

  /** As containerd's CRI plugin has it: it keeps these figures, and takes some seconds to notice a change. */
  async usage(): Promise<Usage> {
    const { signal } = new AbortController()
    const deadline = new Date(Date.now() + USAGE_MS)
    const { imageFilesystems } = await this.#parts.cri.image.imageFsInfo({}, { signal, deadline })
    const [fs] = imageFilesystems
    if (fs === undefined) fail({ kind: 'internal', what: 'containerd names no image file system' })
    return {
      mountpoint: fs.fsId?.mountpoint ?? '',
      usedBytes: fs.usedBytes?.value ?? 0,
      inodesUsed: fs.inodesUsed?.value ?? 0,
      measuredAt: new Date(fs.timestamp / 1e6),
    }
  }

  stopping(): void {
    this.#parts.daemon.stopping()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync()
  }

  /** What containerd unpacked itself has no label of ours, and a tar-split of an earlier snapshot of that name says nothing of this one. */
  async #withTarSplit(layer: StoredLayer): Promise<StoredLayer> {
    if (layer.facts === undefined) return { ...layer, unverifiable: 'unpacked by containerd' }
    const tarSplit = await this.#parts.tarSplits.of(layer.id)
    return tarSplit === undefined ? { ...layer, unverifiable: 'its tar-split is not kept here' } : { ...layer, tarSplit }
  }

  async #topmost(layers: readonly LayerId[]): Promise<LayerId | undefined> {
    for (const id of layers.toReversed()) {
      if (this.#parts.staged.find(id) === undefined && (await this.#parts.snapshots.exists(id))) return id
    }
    return undefined
  }
}
