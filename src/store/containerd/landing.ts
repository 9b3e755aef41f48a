/** Groups of images into containerd behind one sync: nothing is committed whose files may not be on disk. */
import { fail, WindlassError } from '../../failure/failure.ts'
import type { DiffId, Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/oci.ts'
import type { Connection } from '../../rpc/client.ts'
import { untilKnown } from '../../rpc/known.ts'
import { unreadableIn } from '../common/readable.ts'
import { Sealer } from '../common/sealer.ts'
import type { Sweeper } from '../common/sweeper.ts'
import type { Thread } from '../common/thread.ts'
import type { BlobKeeper, NewImage, Published, StoredImage } from '../store.ts'
import type { Catalog } from './catalog.ts'
import type { Daemon } from './daemon.ts'
import { writeDocuments } from './documents.ts'
import type { Hold, Holds } from './holds.ts'
import { inTurn } from './in-turn.ts'
import { landImage, type NamedImage } from './land.ts'
import type { ContainerdLease } from './leases.ts'
import type { MoverDuties } from './mover.ts'
import { layerIdsOf } from './names.ts'
import type { Names } from './naming.ts'
import type { Pending, PendingLayer } from './pending.ts'
import type { Snapshots } from './snapshots.ts'
import type { TarSplits } from './tar-splits.ts'

/** What landing works with; all of it is the store's. */
export type LandingParts = {
  readonly daemon: Daemon
  readonly cri: Connection
  /** Whether the CRI plugin is to show what has landed. */
  readonly isShownByCri: boolean
  /** Where containerd's content is found, if that is known. */
  readonly contentDir: string | undefined
  readonly sweeper: Sweeper
  readonly mover: Thread<MoverDuties>
  readonly snapshots: Snapshots
  readonly catalog: Catalog
  readonly names: Names
  readonly pending: Pending
  readonly holds: Holds
  readonly tarSplits: TarSplits
  readonly pinned: string | undefined
  /** Where blobs are kept. */
  readonly blobs: BlobKeeper | undefined
  /** Nothing is synced. */
  readonly isLazy: boolean
}

/** An image to land, and what holds it until it has. */
type Landing = { readonly image: NewImage; readonly hold: Hold }
/** Its documents are in the content store; `target` is the one its names are for. */
type Written = Landing & { readonly target: Descriptor }
/** An image that has its names, and how long that took. */
type Sealed = { readonly landed: StoredImage; readonly named: NamedImage; readonly syncMs: number; readonly publishMs: number }

/** How often it is looked whether an image that is not taken in is still there, and for how long in all. */
const LOOK_AGAIN_MS = 1_000
const LOOKS = 10

export class Lander {
  readonly #parts: LandingParts
  readonly #sealer = new Sealer<Landing, Sealed>((landings) => this.#seal(landings))

  constructor(parts: LandingParts) {
    this.#parts = parts
  }

  /**
   * Lands the image, with others that come meanwhile. Throws malformed for documents that containerd could not read, runtime, no-space,
   * system, internal; cancelled while it waits.
   */
  async land(image: NewImage, signal: AbortSignal): Promise<Published> {
    const { holds } = this.#parts
    const reason = unreadableIn(image)
    if (reason !== undefined) fail({ kind: 'malformed', what: `image ${image.id}`, from: 'the registry', reason })
    await using hold = holds.add(layerIdsOf(image.config.diffIds))
    const { landed, named, syncMs, publishMs } = await this.#sealer.add({ image, hold }, signal)
    // Outside the sealer: one image that is not taken in keeps no other waiting.
    if (this.#parts.isShownByCri) await this.#untilAdopted(landed, named, signal)
    named.keep()
    return { image: landed, syncMs, publishMs }
  }

  /** Waits for the CRI plugin; records that it does not take in go again, or their layers would be out of kubelet's reach. */
  async #untilAdopted({ id }: StoredImage, named: NamedImage, signal: AbortSignal): Promise<void> {
    const { cri, daemon } = this.#parts
    const runtime = { runtime: 'containerd', socket: daemon.socket, signal, patienceMs: LOOK_AGAIN_MS }
    for (let looked = 1; ; looked++) {
      try {
        return await untilKnown(cri, id, runtime)
      } catch (error) {
        // Removed again meanwhile, by whoever: it had landed.
        if (!(await named.isThere())) return
        if (looked < LOOKS && !signal.aborted) continue
        await named[Symbol.asyncDispose]()
        throw error
      }
    }
  }

  async #seal(landings: readonly Landing[]): Promise<readonly (Sealed | WindlassError)[]> {
    const { mover, sweeper, pending, tarSplits, contentDir, isLazy } = this.#parts
    // Documents and tar-splits before the sync: containerd syncs its database, but not the directory in which that finds them.
    const written = await inTurn(landings, (landing) => this.#write(landing))
    const failed = written.filter((each) => each instanceof WindlassError)
    if (failed.length === written.length) return failed
    const layers = new Set(landings.flatMap(({ hold }) => [...hold.ids].flatMap((id) => pending.get(id) ?? [])))
    using _kept = await tarSplits.keep([...layers])
    const started = performance.now()
    const unsynced = isLazy ? null : await mover.call('sync', { directory: contentDir })
    if (unsynced !== null) {
      for (const { dir } of pending.takeAll(unsynced)) await sweeper.discard(dir)
      return landings.map(() => new WindlassError(unsynced))
    }
    const syncMs = performance.now() - started
    return await inTurn(written, async (each) => (each instanceof WindlassError ? each : await this.#land(each, syncMs)))
  }

  async #write({ image, hold }: Landing): Promise<Written> {
    const { daemon, pending, blobs } = this.#parts
    const kept = new Map<Digest, DiffId>()
    for (const id of layerIdsOf(image.config.diffIds)) {
      const layer = pending.get(id)
      if (layer?.facts.blob !== undefined) kept.set(layer.facts.blob.digest, layer.diffId)
    }
    const target = await writeDocuments(daemon, image, await hold.lease(), blobs === undefined ? undefined : kept)
    return { image, hold, target }
  }

  async #land({ image, hold, target }: Written, syncMs: number): Promise<Sealed> {
    const { names, snapshots, catalog, pending, holds, pinned } = this.#parts
    const started = performance.now()
    const ids = layerIdsOf(image.config.diffIds)
    const top = ids.at(-1)
    const lease = await hold.lease()
    for (const id of ids) {
      const layer = pending.get(id)
      if (layer !== undefined) await this.#commit(layer, lease)
    }
    // Committed by us or anybody: held before it is looked for, so that what is found stays.
    if (top !== undefined) {
      await holds.keep(top)
      if (!(await snapshots.exists(top))) fail(pending.missing(top))
    }
    const isPinned = image.tag !== undefined && image.tag === pinned
    await using undo = new AsyncDisposableStack()
    const named = undo.use(await landImage(names, image, target, lease, { isPinned }))
    catalog.learn(named.target.digest, image.id)
    // Read back what was written: only that is an answer. Until the names were there all hung on the lease, which others can delete.
    const name = image.tag ?? image.digest
    const landed = await catalog.find(name)
    const isWhole = landed?.id === image.id && (top === undefined || (await snapshots.exists(top)))
    if (!isWhole) fail({ kind: 'internal', what: `containerd does not show ${name} as landed` })
    undo.move()
    return { landed, named, syncMs, publishMs: performance.now() - started }
  }

  async #commit(layer: PendingLayer, lease: ContainerdLease): Promise<void> {
    const { sweeper, snapshots, pending, holds } = this.#parts
    try {
      await snapshots.commit(layer, lease)
      await holds.keep(layer.id)
      pending.drop(layer.id)
    } catch (error) {
      // Its tree may be in a snapshot that will be collected: neither it nor what stands on it is here any more.
      for (const lost of pending.takeWithAbove(layer.id)) await sweeper.discard(lost.dir)
      throw error
    }
    await sweeper.discard(layer.dir)
  }
}
