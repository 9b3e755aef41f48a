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
import { basename, join } from 'node:path'
import { asWindlassError, fail, failureOf } from '../../failure/failure.ts'
import { type DiffId, type Digest, hexOf, type LayerId, sha256 } from '../../oci/digest.ts'
import type { Platform } from '../../oci/oci.ts'
import { connect } from '../../rpc/client.ts'
import type { Abortable } from '../../task/task.ts'
import { lockRoot } from '../common/lock.ts'
import type { StoreLog } from '../common/log.ts'
import { LOCK, makeRoot } from '../common/root.ts'
import { Staged } from '../common/staged.ts'
import { Sweeper } from '../common/sweeper.ts'
import { beside, Thread } from '../common/thread.ts'
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
import { Holds } from './holds.ts'
import { pinName } from './land.ts'
import { Lander, type LandingParts } from './landing.ts'
import { Leases } from './leases.ts'
import { Lingering } from './lingering.ts'
import type { MoverDuties } from './mover.ts'
import { chainIdOf, layerIdAbove, layerIdsOf } from './names.ts'
import { Pending, type PendingLayer } from './pending.ts'
import { Snapshots } from './snapshots.ts'
import { Staging } from './staging.ts'
import { TarSplits } from './tar-splits.ts'

export type ContainerdStoreOptions = {
  /** Our own root: tells this store's leases from others'. */
  readonly root: string
  readonly socket: string
  readonly platform: Platform
  /** The tag of an image that must stay, whatever kubelet's collection thinks. */
  readonly pinned?: string
  /** Keeps layers' blobs in containerd's content store, for peers and for `ctr image export`. */
  readonly keepBlobs?: boolean
  /** containerd's own root; else it is taken to be where its snapshots are. */
  readonly containerdRoot?: string
  readonly log: StoreLog
  /** Called once if the store can no longer change anything: only a new process can. */
  readonly onLost?: (error: Error) => void
}

const pinsAreContainerds = {
  kind: 'invalid-argument',
  what: 'pin',
  reason: 'images in containerd are pinned by its own label: ctr -n k8s.io images label NAME io.cri-containerd.pinned=pinned',
} as const

/** How long the CRI plugin may take to tell what the disk holds. */
const USAGE_MS = 10_000

/** A store with the directory its layers are staged in, and the one they wait in for their place. */
export type ContainerdStore = Store & { readonly stagingDir: string; readonly landedDir: string }

/** Opens the store. Throws runtime-down where containerd does not answer, unsupported for a snapshotter we cannot land in, invalid-argument for a root of another program's. */
export async function openContainerdStore(options: ContainerdStoreOptions, { signal }: Abortable): Promise<ContainerdStore> {
  if (signal.aborted) throw asWindlassError(signal.reason)
  const { root, socket, platform, containerdRoot, log, onLost, pinned, keepBlobs = false } = options
  await using open = new AsyncDisposableStack()
  // One process a root: the next thing we do is to drop the leases of whoever had it before.
  makeRoot(root, log)
  open.use(lockRoot(root, join(root, LOCK)))
  const daemon = open.use(new Daemon(socket))
  // Whoever gives up while it is opened need not wait for its calls.
  const stop = (): void => daemon[Symbol.dispose]()
  signal.addEventListener('abort', stop, { once: true })
  using _opening = { [Symbol.dispose]: () => signal.removeEventListener('abort', stop) }
  const cri = open.use(await connect(socket, { signal, runtime: 'containerd' }))
  const leases = new Leases(daemon, hexOf(sha256(root)).slice(0, 32), log)
  await leases.dropAbandoned()
  const staging = open.use(await Staging.open(daemon, leases, log))
  const sweeper = open.use(new Sweeper(staging.trash, log))
  const mover = open.use(new Thread<MoverDuties>(beside(import.meta.url, 'mover'), 'store mover', staging.incoming, log, onLost))
  const snapshots = new Snapshots(daemon, staging, mover)
  const catalog = new Catalog(daemon, platform)
  log.info({ containerd: socket, staging: staging.incoming }, 'store open')
  const [pending, holds] = [new Pending(), new Holds(leases)]
  const tarSplits = open.use(new TarSplits({ root, staging: staging.incoming, snapshots, mover, log }))
  const contentDir = contentDirIn(containerdRoot ?? join(staging.snapshots, '..', '..'), log)
  const kept = { tarSplits, pinned, keepBlobs }
  const parts = { daemon, contentDir, cri, staging, sweeper, mover, snapshots, catalog, pending, holds, ...kept }
  if (pinned !== undefined) await pinName(daemon, pinned)
  if (signal.aborted) throw asWindlassError(signal.reason)
  const blobs = keepBlobs ? new Blobs(daemon, leases, holds) : undefined
  const evictions = new Evictor({ daemon, catalog, snapshots, leases, staging, log })
  return new LandingStore(root, parts, { evictions, ...(blobs === undefined ? {} : { blobs }) }, log, onLost, open.move())
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

class LandingStore implements ContainerdStore {
  readonly root: string
  readonly overlayDir: string
  readonly stagingDir: string
  readonly landedDir: string
  readonly blobs?: BlobKeeper
  readonly evictions: Evictions
  readonly #parts: LandingParts
  readonly #lander: Lander
  readonly #lingering: Lingering
  readonly #onLost: ((error: Error) => void) | undefined
  readonly #open: AsyncDisposableStack

  /** `open` is what closes with the store. */
  constructor(
    root: string,
    parts: LandingParts,
    { blobs, evictions }: { readonly blobs?: BlobKeeper; readonly evictions: Evictions },
    log: StoreLog,
    onLost: ((error: Error) => void) | undefined,
    open: AsyncDisposableStack,
  ) {
    this.root = root
    if (blobs !== undefined) this.blobs = blobs
    this.evictions = evictions
    this.overlayDir = parts.staging.snapshots
    this.stagingDir = parts.staging.incoming
    this.landedDir = parts.staging.landed
    this.#parts = parts
    this.#lander = new Lander(parts)
    this.#onLost = onLost
    this.#lingering = open.use(
      new Lingering({
        loose: () => parts.pending.loose(parts.holds.ids()),
        drop: (but) =>
          void this.#dropLoose(but).catch((error) =>
            log.warn({ failure: failureOf(error) }, 'staged layers could not be dropped'),
          ),
      }),
    )
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
    const pending = this.#parts.pending.get(id)
    if (pending !== undefined) return this.#layerOf(pending)
    const found = await this.#parts.snapshots.find(id)
    return found === undefined ? undefined : await this.#withTarSplit(found)
  }

  /** Only what is staged: extractors may not read below containerd's snapshots, where the files of running containers are. */
  async layerByDiffId(diffId: DiffId): Promise<CopyableLayer | undefined> {
    const pending = this.#parts.pending.byDiffId(diffId)
    return pending === undefined ? undefined : this.#layerOf(pending)
  }

  lease(): Lease {
    const hold = this.#parts.holds.add()
    return {
      retain: async (layers) => {
        for (const id of layers) hold.ids.add(id)
        const top = await this.#topmost(layers)
        if (top !== undefined) await (await hold.lease()).hold({ snapshot: chainIdOf(top) })
      },
      [Symbol.asyncDispose]: async () => {
        await hold[Symbol.asyncDispose]()
        if ([...hold.ids].some((id) => this.#parts.pending.get(id) !== undefined)) this.#lingering.begin()
      },
    }
  }

  async stage(diffId: DiffId): Promise<StagedLayer> {
    const { staging } = this.#parts
    const dir = await staging.make().catch((error: unknown) => {
      // The snapshot has gone: its lease has run out, or containerd has been emptied. Only a new one helps.
      const failure = failureOf(error)
      if (failure.kind === 'system' && failure.code === 'ENOENT') this.#onLost?.(asWindlassError(error))
      throw error
    })
    return new Staged(dir, dir, diffId, this.#parts.pending.lostTimes, (place) => this.#lander.discard(place))
  }

  async commit(staged: StagedLayer, facts: UnpackedFacts, parent: StoredLayer | undefined): Promise<StoredLayer> {
    if (!(staged instanceof Staged)) fail({ kind: 'internal', what: 'commit of a layer that was not staged here' })
    const id = layerIdAbove(parent?.id, staged.diffId)
    const there = await this.layer(id)
    if (there !== undefined) {
      await staged[Symbol.asyncDispose]()
      await this.#parts.holds.keep(id)
      return there
    }
    const { leftOut } = await this.#seize(staged)
    if (leftOut && parent !== undefined) await this.#attribute(staged.dir, parent.id)
    const rival = this.#parts.pending.get(id)
    if (rival === undefined) {
      const layer = { id, diffId: staged.diffId, parent: parent?.id, dir: staged.dir, facts }
      this.#parts.pending.add(layer, staged)
      staged.moved()
      // Where its pull has ended meanwhile, nobody else would come for it.
      if (!this.#parts.holds.ids().has(id)) this.#lingering.begin()
      return this.#layerOf(layer)
    }
    await staged[Symbol.asyncDispose]()
    return this.#layerOf(rival)
  }

  async publish(image: NewImage, { signal }: Abortable): Promise<Published> {
    return await this.#lander.land(image, signal)
  }

  async remove(id: Digest): Promise<boolean> {
    const { catalog } = this.#parts
    const records = await catalog.recordsOf(id)
    for (const { name } of records) await this.#deleteRecord(name)
    return records.length > 0
  }

  async untag(tag: string): Promise<boolean> {
    const image = await this.find(tag)
    if (image === undefined || !image.tags.includes(tag)) return false
    await this.#deleteRecord(tag)
    const repository = tag.slice(0, tag.lastIndexOf(':'))
    const isOf = (name: string): boolean => name.slice(0, name.search(/(?::[^/:]*|@.*)$/)) === repository
    const tags = image.tags.filter((other) => other !== tag)
    // With the last tag of a repository goes the digest name that came along with it.
    const gone = tags.some(isOf) ? [] : image.digests.filter((name) => name.startsWith(`${repository}@`))
    for (const name of gone) await this.#deleteRecord(name)
    if (tags.length + image.digests.length - gone.length === 0) await this.remove(image.id)
    return true
  }

  async pin(): Promise<boolean> {
    return fail(pinsAreContainerds)
  }

  async unpin(): Promise<readonly Pin[]> {
    return fail(pinsAreContainerds)
  }

  /** Drops layers that were never landed and that nobody holds, and what was kept of those that are gone; snapshots are containerd's to collect. */
  async collect(): Promise<readonly OwnLayer[]> {
    await this.#parts.tarSplits.sweep()
    return await this.#dropLoose([])
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync()
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

  /** What containerd unpacked itself has no label of ours, and a tar-split of an earlier snapshot of that name says nothing of this one. */
  async #withTarSplit(layer: StoredLayer): Promise<StoredLayer> {
    if (layer.facts === undefined) return { ...layer, unverifiable: 'unpacked by containerd' }
    const tarSplit = await this.#parts.tarSplits.of(layer.id)
    return tarSplit === undefined ? { ...layer, unverifiable: 'its tar-split is not kept here' } : { ...layer, tarSplit }
  }

  async #topmost(layers: readonly LayerId[]): Promise<LayerId | undefined> {
    for (const id of layers.toReversed()) {
      if (this.#parts.pending.get(id) === undefined && (await this.#parts.snapshots.exists(id))) return id
    }
    return undefined
  }

  /** The directories of a layer and of those below it, nearest first. */
  async #lowersFrom(top: LayerId): Promise<readonly string[]> {
    const pending = this.#parts.pending.get(top)
    if (pending === undefined) return await this.#parts.snapshots.lowers(top)
    const below = pending.parent === undefined ? [] : await this.#lowersFrom(pending.parent)
    return [join(pending.dir, 'diff'), ...below]
  }

  #layerOf({ id, diffId, parent, dir, facts }: PendingLayer): CopyableLayer {
    const diff = join(dir, 'diff')
    const below = parent === undefined ? {} : { parent }
    return { id, diffId, ...below, diff, tarSplit: join(dir, 'tar-split.gz'), short: diff, facts }
  }

  async #deleteRecord(name: string): Promise<void> {
    await this.#parts.daemon.callUnless('NOT_FOUND', 'delete an image', ({ images }, options) =>
      images.delete({ name, sync: false }, options),
    )
  }

  async #dropLoose(but: readonly LayerId[]): Promise<readonly OwnLayer[]> {
    const { pending, holds } = this.#parts
    const loose = pending.takeLoose([...holds.ids(), ...but])
    const layers = loose.map((layer) => this.#layerOf(layer))
    for (const { dir } of loose) await this.#lander.discard(dir)
    return layers
  }
}
