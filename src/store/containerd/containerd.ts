/**
 * Images in a containerd that runs on this node, through its own services: leases, content, snapshots, images. It is the one truth; what
 * is here beside it are layers on their way.
 *
 *     stage, in a leased snapshot → commit: a place in the chain, in memory → publish: one syncfs, then for each layer Prepare, rename,
 *     fsync, Commit; then documents and records
 *
 * What containerd no longer needs it collects itself. What this store leaves behind, however it ends, hangs on leases that expire.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { asWindlassError, fail, failureOf, WindlassError } from '../../failure/failure.ts'
import { type DiffId, type Digest, hexOf, type LayerId, sha256 } from '../../oci/digest.ts'
import type { Platform } from '../../oci/oci.ts'
import { type Connection, connect } from '../../rpc/client.ts'
import { untilKnown } from '../../rpc/known.ts'
import type { Abortable } from '../../task/task.ts'
import type { UnpackedFacts } from '../facts.ts'
import { LOCK } from '../local/layout.ts'
import { lockRoot } from '../local/lock.ts'
import type { StoreLog } from '../local/log.ts'
import { Sealer } from '../local/sealer.ts'
import { Staged } from '../local/staged.ts'
import { Sweeper } from '../local/sweeper.ts'
import { beside, Thread } from '../local/thread.ts'
import type { CopyableLayer, Lease, NewImage, Published, StagedLayer, Store, StoredImage, StoredLayer, Usage } from '../store.ts'
import { Catalog } from './catalog.ts'
import { Daemon } from './daemon.ts'
import { landImage } from './land.ts'
import { type ContainerdLease, Leases } from './leases.ts'
import type { MoverDuties } from './mover.ts'
import { chainIdOf, layerIdAbove, layerIdsOf } from './names.ts'
import { Pending, type PendingLayer } from './pending.ts'
import { Snapshots } from './snapshots.ts'
import { Staging } from './staging.ts'

export type ContainerdStoreOptions = {
  /** Our own root: tells this store's leases from others'. */
  readonly root: string
  readonly socket: string
  readonly platform: Platform
  /** Whether an image by this name must stay, whatever kubelet's collection thinks. */
  readonly isPinned?: (tag: string) => boolean
  readonly log: StoreLog
  /** Called once if the store can no longer change anything: only a new process can. */
  readonly onLost?: (error: Error) => void
}

/** How long layers of a pull that failed wait for its next attempt. */
const KEEP_MS = 300_000

/** How long the CRI plugin may take to tell what the disk holds. */
const USAGE_MS = 10_000

/** A store with the directory its layers are staged in. */
export type ContainerdStore = Store & { readonly stagingDir: string }

/** Opens the store. Throws runtime where containerd does not answer, unsupported for a snapshotter we cannot land in. */
export async function openContainerdStore(options: ContainerdStoreOptions, { signal }: Abortable): Promise<ContainerdStore> {
  if (signal.aborted) throw asWindlassError(signal.reason)
  const { root, socket, platform, log, onLost, isPinned = () => false } = options
  await using open = new AsyncDisposableStack()
  // One process a root: the next thing we do is to drop the leases of whoever had it before.
  mkdirSync(root, { recursive: true, mode: 0o700 })
  open.use(lockRoot(root, join(root, LOCK)))
  const daemon = open.use(new Daemon(socket))
  const cri = open.use(await connect(socket, { signal }))
  const leases = new Leases(daemon, hexOf(sha256(root)).slice(0, 32), log)
  await leases.dropAbandoned()
  const staging = open.use(await Staging.open(daemon, leases, log))
  const sweeper = open.use(new Sweeper(staging.trash, log))
  const mover = open.use(new Thread<MoverDuties>(beside(import.meta.url, 'mover'), 'store mover', staging.dir, log, onLost))
  const snapshots = new Snapshots(daemon, staging, mover)
  const catalog = new Catalog(daemon, platform)
  log.info({ containerd: socket, staging: staging.dir }, 'store open')
  const parts = { daemon, cri, leases, staging, sweeper, mover, snapshots, catalog, isPinned, log }
  return new LandingStore(root, parts, open.move())
}

type Parts = {
  readonly daemon: Daemon
  readonly cri: Connection
  readonly leases: Leases
  readonly staging: Staging
  readonly sweeper: Sweeper
  readonly mover: Thread<MoverDuties>
  readonly snapshots: Snapshots
  readonly catalog: Catalog
  readonly isPinned: (tag: string) => boolean
  readonly log: StoreLog
}

/** An image to land, and what holds it until it has. */
type Landing = { readonly image: NewImage; readonly hold: Hold }

/** What one pull counts on; its lease is taken when there is something in containerd to hold. */
class Hold implements AsyncDisposable {
  readonly ids: Set<LayerId>
  readonly #leases: Leases
  #lease: Promise<ContainerdLease> | undefined

  constructor(leases: Leases, ids: readonly LayerId[] = []) {
    this.#leases = leases
    this.ids = new Set(ids)
  }

  lease(): Promise<ContainerdLease> {
    this.#lease ??= this.#leases.create()
    return this.#lease
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const lease = await this.#lease?.catch(() => undefined)
    await lease?.[Symbol.asyncDispose]()
  }
}

class LandingStore implements ContainerdStore {
  readonly root: string
  readonly overlayDir: string
  readonly stagingDir: string
  readonly #parts: Parts
  readonly #open: AsyncDisposableStack
  readonly #pending = new Pending()
  readonly #holds = new Set<Hold>()
  readonly #sealer = new Sealer<Landing, Published>((landings) => this.#seal(landings))

  constructor(root: string, parts: Parts, open: AsyncDisposableStack) {
    this.root = root
    this.overlayDir = parts.staging.snapshots
    this.stagingDir = parts.staging.dir
    this.#parts = parts
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
    const pending = this.#pending.get(id)
    return pending === undefined ? await this.#parts.snapshots.find(id) : this.#layerOf(pending)
  }

  /** Only what is staged: extractors may not read below containerd's snapshots, where the files of running containers are. */
  async layerByDiffId(diffId: DiffId): Promise<CopyableLayer | undefined> {
    const pending = this.#pending.byDiffId(diffId)
    return pending === undefined ? undefined : this.#layerOf(pending)
  }

  lease(): Lease {
    const hold = new Hold(this.#parts.leases)
    this.#holds.add(hold)
    return {
      retain: async (layers) => {
        for (const id of layers) hold.ids.add(id)
        const top = await this.#topmost(layers)
        if (top !== undefined) await (await hold.lease()).hold({ snapshot: chainIdOf(top) })
      },
      [Symbol.asyncDispose]: async () => {
        this.#holds.delete(hold)
        if ([...hold.ids].some((id) => this.#pending.get(id) !== undefined)) this.#dropLooseLater()
        await hold[Symbol.asyncDispose]()
      },
    }
  }

  async stage(diffId: DiffId): Promise<StagedLayer> {
    const { staging } = this.#parts
    const dir = await staging.make()
    return new Staged(dir, dir, diffId, this.#pending.lostTimes, () => this.#discard(dir))
  }

  async commit(staged: StagedLayer, facts: UnpackedFacts, parent: StoredLayer | undefined): Promise<StoredLayer> {
    if (!(staged instanceof Staged)) fail({ kind: 'internal', what: 'commit of a layer that was not staged here' })
    const id = layerIdAbove(parent?.id, staged.diffId)
    const there = await this.layer(id)
    if (there === undefined) await this.#attribute(join(staged.dir, 'diff'), parent?.id, facts.implied)
    const rival = this.#pending.get(id)
    if (there === undefined && rival === undefined) {
      const layer = { id, diffId: staged.diffId, parent: parent?.id, dir: staged.dir, facts }
      this.#pending.add(layer, staged)
      staged.moved()
      return this.#layerOf(layer)
    }
    await staged[Symbol.asyncDispose]()
    if (rival !== undefined) return this.#layerOf(rival)
    await this.#holdForAll(id)
    return there ?? fail({ kind: 'internal', what: `layer ${id} is neither here nor missing` })
  }

  async publish(image: NewImage, { signal }: Abortable): Promise<Published> {
    await using hold = new Hold(this.#parts.leases, this.layerIds(image.config.diffIds))
    this.#holds.add(hold)
    try {
      return await this.#sealer.add({ image, hold }, signal)
    } finally {
      this.#holds.delete(hold)
    }
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

  /** Drops layers that were never landed and that nobody holds; snapshots are containerd's to collect. */
  async collect(): Promise<readonly StoredLayer[]> {
    const loose = this.#pending.takeLoose(new Set([...this.#holds].flatMap(({ ids }) => [...ids])))
    const layers = loose.map((layer) => this.#layerOf(layer))
    for (const { dir } of loose) await this.#discard(dir)
    return layers
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

  /** Lands a group of images behind one sync. */
  async #seal(landings: readonly Landing[]): Promise<readonly (Published | WindlassError)[]> {
    const { mover } = this.#parts
    const started = performance.now()
    const unsynced = await mover.call('sync', null)
    if (unsynced !== null) {
      for (const { dir } of this.#pending.takeAll(unsynced)) await this.#discard(dir)
      return landings.map(() => new WindlassError(unsynced))
    }
    const syncMs = performance.now() - started
    const outcomes: (Published | WindlassError)[] = []
    for (const landing of landings) outcomes.push(await this.#land(landing, syncMs).catch((error) => asWindlassError(error)))
    return outcomes
  }

  async #land({ image, hold }: Landing, syncMs: number): Promise<Published> {
    const { daemon, cri, snapshots, catalog, isPinned } = this.#parts
    const started = performance.now()
    const ids = this.layerIds(image.config.diffIds)
    const [top] = ids.slice(-1)
    const lease = await hold.lease()
    for (const id of ids) {
      const pending = this.#pending.get(id)
      if (pending !== undefined) await this.#commitOne(pending, lease)
    }
    // Committed by us or anybody: held before it is looked for, so that what is found stays.
    if (top !== undefined) {
      await this.#holdForAll(top)
      if (!(await snapshots.exists(top))) fail(this.#pending.missing(top))
    }
    const target = await landImage(daemon, image, lease, image.tag !== undefined && isPinned(image.tag))
    catalog.learn(target.digest, image.id)
    await untilKnown(cri, image.id, { runtime: 'containerd', socket: daemon.socket })
    // Read back what was written: only that is an answer.
    const landed = await catalog.find(image.tag ?? image.digest)
    if (landed?.id !== image.id)
      fail({ kind: 'internal', what: `containerd does not show ${image.tag ?? image.digest} as landed` })
    return { image: landed, syncMs, publishMs: performance.now() - started }
  }

  async #commitOne(layer: PendingLayer, lease: ContainerdLease): Promise<void> {
    await this.#parts.snapshots.commit(layer, lease)
    await this.#holdForAll(layer.id)
    this.#pending.drop(layer.id)
    await this.#discard(layer.dir)
  }

  /** For each pull that counts on the layer: what it saw waiting here may be another's image by now, and go with that. */
  async #holdForAll(id: LayerId): Promise<void> {
    for (const hold of this.#holds) {
      if (!hold.ids.has(id)) continue
      try {
        await (await hold.lease()).hold({ snapshot: chainIdOf(id) })
      } catch (error) {
        // Given back meanwhile, and its lease with it.
        if (this.#holds.has(hold)) throw error
      }
    }
  }

  async #attribute(diff: string, parent: LayerId | undefined, implied: readonly string[]): Promise<void> {
    if (implied.length === 0 || parent === undefined) return
    const { mover } = this.#parts
    try {
      await mover.call('attribute', { diff, lowers: await this.#lowersFrom(parent), implied })
    } catch (error) {
      const failure = failureOf(error)
      if (failure.kind !== 'system' || failure.code !== 'ENOENT') throw error
      // A layer below moved to its place meanwhile: asked again, it says where that is.
      await mover.call('attribute', { diff, lowers: await this.#lowersFrom(parent), implied })
    }
  }

  async #topmost(layers: readonly LayerId[]): Promise<LayerId | undefined> {
    for (const id of layers.toReversed()) {
      if (this.#pending.get(id) === undefined && (await this.#parts.snapshots.exists(id))) return id
    }
    return undefined
  }

  /** The directories of a layer and of those below it, nearest first. */
  async #lowersFrom(top: LayerId): Promise<readonly string[]> {
    const pending = this.#pending.get(top)
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

  async #discard(dir: string): Promise<void> {
    await this.#parts.staging.discard(dir)
    this.#parts.sweeper.sweepLater()
  }

  #dropLooseLater(): void {
    const drop = (): void =>
      void this.collect().catch((error) =>
        this.#parts.log.warn({ failure: failureOf(error) }, 'staged layers could not be dropped'),
      )
    setTimeout(drop, KEEP_MS).unref()
  }
}
