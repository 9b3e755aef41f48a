/** Groups of images into containerd behind one sync: nothing is committed whose files may not be on disk. */
import { asWindlassError, fail, WindlassError } from '../../failure/failure.ts'
import type { Connection } from '../../rpc/client.ts'
import { untilKnown } from '../../rpc/known.ts'
import { Sealer } from '../common/sealer.ts'
import type { Sweeper } from '../common/sweeper.ts'
import type { Thread } from '../common/thread.ts'
import type { NewImage, Published } from '../store.ts'
import type { Catalog } from './catalog.ts'
import type { Daemon } from './daemon.ts'
import type { Hold, Holds } from './holds.ts'
import { landImage } from './land.ts'
import type { ContainerdLease } from './leases.ts'
import type { MoverDuties } from './mover.ts'
import { layerIdsOf } from './names.ts'
import type { Pending, PendingLayer } from './pending.ts'
import type { Snapshots } from './snapshots.ts'
import type { Staging } from './staging.ts'

/** What landing works with; all of it is the store's. */
export type LandingParts = {
  readonly daemon: Daemon
  readonly cri: Connection
  readonly staging: Staging
  readonly sweeper: Sweeper
  readonly mover: Thread<MoverDuties>
  readonly snapshots: Snapshots
  readonly catalog: Catalog
  readonly pending: Pending
  readonly holds: Holds
  readonly isPinned: (tag: string) => boolean
}

/** An image to land, and what holds it until it has. */
type Landing = { readonly image: NewImage; readonly hold: Hold }

export class Lander {
  readonly #parts: LandingParts
  readonly #sealer = new Sealer<Landing, Published>((landings) => this.#seal(landings))

  constructor(parts: LandingParts) {
    this.#parts = parts
  }

  /** Lands the image, with others that come meanwhile. Throws runtime, no-space, system, internal; cancelled while it waits. */
  async land(image: NewImage, signal: AbortSignal): Promise<Published> {
    await using hold = this.#parts.holds.add(layerIdsOf(image.config.diffIds))
    return await this.#sealer.add({ image, hold }, signal)
  }

  /** Out of the way at once, and unlinked in the background. */
  async discard(dir: string): Promise<void> {
    await this.#parts.staging.discard(dir)
    this.#parts.sweeper.sweepLater()
  }

  async #seal(landings: readonly Landing[]): Promise<readonly (Published | WindlassError)[]> {
    const { mover, pending } = this.#parts
    const started = performance.now()
    const unsynced = await mover.call('sync', null)
    if (unsynced !== null) {
      for (const { dir } of pending.takeAll(unsynced)) await this.discard(dir)
      return landings.map(() => new WindlassError(unsynced))
    }
    const syncMs = performance.now() - started
    const outcomes: (Published | WindlassError)[] = []
    for (const landing of landings) outcomes.push(await this.#land(landing, syncMs).catch((error) => asWindlassError(error)))
    return outcomes
  }

  async #land({ image, hold }: Landing, syncMs: number): Promise<Published> {
    const { daemon, cri, snapshots, catalog, pending, holds, isPinned } = this.#parts
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
    const target = await landImage(daemon, image, lease, image.tag !== undefined && isPinned(image.tag))
    catalog.learn(target.digest, image.id)
    await untilKnown(cri, image.id, { runtime: 'containerd', socket: daemon.socket })
    // Read back what was written: only that is an answer.
    const name = image.tag ?? image.digest
    const landed = await catalog.find(name)
    if (landed?.id !== image.id) fail({ kind: 'internal', what: `containerd does not show ${name} as landed` })
    return { image: landed, syncMs, publishMs: performance.now() - started }
  }

  async #commit(layer: PendingLayer, lease: ContainerdLease): Promise<void> {
    const { snapshots, pending, holds } = this.#parts
    await snapshots.commit(layer, lease)
    await holds.keep(layer.id)
    pending.drop(layer.id)
    await this.discard(layer.dir)
  }
}
