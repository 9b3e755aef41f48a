/**
 * Takes images out of containerd so that they can be pulled again: a committed snapshot must not be changed, and containerd has no call that
 * puts another in its place. Only what nothing uses goes, by containerd's own calls, in an order in which a crash leaves no image without
 * its layers, and forgets none:
 *
 *     no pull counts on the layer, and none begins to → look who stands on it → a lease on the images' documents → what goes is written
 *     down → their names go → the snapshots, topmost first
 *     (pulled again) → the other names come back → the lease goes
 *
 * containerd refuses to remove what a container's snapshot stands on, whenever that was made.
 */
import { type Failure, fail, failureOf } from '../../failure/failure.ts'
import type { LayerId } from '../../oci/digest.ts'
import type { Info__Output } from '../../rpc/generated/containerd/services/snapshots/v1/Info.ts'
import { Kind } from '../../rpc/generated/containerd/services/snapshots/v1/Kind.ts'
import type { Abortable } from '../../task/task.ts'
import type { StoreLog } from '../common/log.ts'
import type { Sweeper } from '../common/sweeper.ts'
import type { Evicted, Evictions, StoredImage } from '../store.ts'
import type { Catalog } from './catalog.ts'
import type { Daemon } from './daemon.ts'
import { GivingBack } from './giving-back.ts'
import type { Holds } from './holds.ts'
import type { ContainerdLease, Leases } from './leases.ts'
import { chainIdOf } from './names.ts'
import { overlaysOver } from './overlays.ts'
import type { Pending } from './pending.ts'
import type { ReceiptFiles } from './receipts.ts'
import { layerIdIn, type Snapshots } from './snapshots.ts'
import type { Staging } from './staging.ts'
import { namesOf, type Withdrawal, Withdrawals } from './withdrawals.ts'

export type EvictorParts = {
  readonly daemon: Daemon
  readonly catalog: Catalog
  readonly snapshots: Snapshots
  readonly leases: Leases
  readonly staging: Staging
  readonly holds: Holds
  readonly pending: Pending
  readonly sweeper: Sweeper
  readonly withdrawals: Withdrawals
  readonly givingBack: GivingBack
}

type Opening = Omit<EvictorParts, 'withdrawals' | 'givingBack'> & { readonly receipts: ReceiptFiles; readonly log: StoreLog }

/** Somebody pulls an image by containerd itself while its names go: once is bad luck. */
const ROUNDS = 3

export class Evictor implements Evictions {
  readonly #parts: EvictorParts

  private constructor(parts: EvictorParts) {
    this.#parts = parts
  }

  /** Gives back at once what an earlier run took the names of, and not the layers: while that run's leases hold it. Throws as calls do. */
  static async open(root: string, parts: Opening): Promise<Evictor> {
    const withdrawals = await Withdrawals.open(root, parts.log)
    const givingBack = new GivingBack({ ...parts, withdrawals })
    const evictor = new Evictor({ ...parts, withdrawals, givingBack })
    await evictor.#resume()
    return evictor
  }

  async evict(id: LayerId, { signal }: Abortable): Promise<Evicted> {
    const { daemon, holds, leases, snapshots, givingBack } = this.#parts
    using _claim = await holds.claim(id, { signal })
    const standing = standingOn(await snapshots.all(), chainIdOf(id))
    await this.#checkUnused(id, await this.#imagesOn(id), standing)
    signal.throwIfAborted()
    // Pulls that were waited for may have ended with the daemon: what is taken away now would stay away until the next start.
    if (daemon.isStopping) fail({ kind: 'cancelled', reason: 'shutdown' })
    await using undo = new AsyncDisposableStack()
    const lease = undo.use(await leases.create())
    // What lies below is held by what goes.
    const below = standing[0]?.parent ?? ''
    if (below !== '') await lease.hold({ snapshot: below })
    const withdrawn = new Map<string, Withdrawal>()
    try {
      await this.#withdraw(id, withdrawn, lease)
      for (const { name } of standing.toReversed()) await this.#remove(id, name)
    } catch (error) {
      const away = await givingBack.give([...withdrawn.values()], lease)
      if (away.length === 0) throw error
      const failure = since(failureOf(error), away)
      return this.#evicted(away, lease, undo.move(), failure)
    }
    return this.#evicted([...withdrawn.values()], lease, undo.move(), undefined)
  }

  async unfinished(): Promise<Evicted | undefined> {
    const { withdrawals, leases } = this.#parts
    const all = withdrawals.all()
    if (all.length === 0) return undefined
    await using undo = new AsyncDisposableStack()
    const lease = undo.use(await leases.create())
    return this.#evicted(all, lease, undo.move(), undefined)
  }

  async #resume(): Promise<void> {
    const { withdrawals, leases, givingBack } = this.#parts
    if (withdrawals.all().length === 0) return
    await using lease = await leases.create()
    await givingBack.give(withdrawals.all(), lease)
  }

  #evicted(
    away: readonly Withdrawal[],
    lease: ContainerdLease,
    held: AsyncDisposableStack,
    failure: Failure | undefined,
  ): Evicted {
    const { givingBack } = this.#parts
    held.defer(async () => void (await givingBack.give(away, lease)))
    return { images: away.map(({ image }) => image), failure, [Symbol.asyncDispose]: () => held.disposeAsync() }
  }

  async #imagesOn(id: LayerId): Promise<readonly StoredImage[]> {
    return (await this.#parts.catalog.images()).filter(({ layerIds }) => layerIds.includes(id))
  }

  /** Throws layer-in-use. Mounts in other mount namespaces are not seen, but containers' have a snapshot. */
  async #checkUnused(id: LayerId, images: readonly StoredImage[], standing: readonly Info__Output[]): Promise<void> {
    const known = new Set(images.flatMap(({ layerIds }) => layerIds))
    const isImages = ({ name, kind }: Info__Output): boolean => {
      const layer = layerIdIn(name)
      return kind === Kind.COMMITTED && layer !== undefined && known.has(layer)
    }
    const others = standing.filter((info) => !isImages(info))
    if (others.length > 0) fail({ kind: 'layer-in-use', layer: id, mounts: [], snapshots: others.map(({ name }) => name) })
    const trees: string[] = []
    for (const { name } of standing.toReversed()) {
      const layer = layerIdIn(name)
      const found = layer === undefined ? undefined : await this.#parts.snapshots.find(layer)
      if (found !== undefined) trees.push(found.diff)
    }
    const mounts = overlaysOver(trees, this.#parts.staging.snapshots)
    if (mounts.length > 0) fail({ kind: 'layer-in-use', layer: id, mounts })
  }

  /** Takes the names of all images on the layer; `withdrawn` says which, whatever comes of it. */
  async #withdraw(id: LayerId, withdrawn: Map<string, Withdrawal>, lease: ContainerdLease): Promise<void> {
    const { withdrawals, givingBack } = this.#parts
    for (let round = 0; round < ROUNDS; round++) {
      const images = await this.#imagesOn(id)
      if (images.length === 0) return
      const going = await givingBack.read(images)
      for (const { records } of going) for (const { target } of records) await lease.hold({ content: target.digest })
      await withdrawals.add(going)
      for (const each of withdrawals.all()) if (each.image.layerIds.includes(id)) withdrawn.set(each.image.id, each)
      for (const { records } of going) for (const { name } of records) await this.#deleteRecord(name)
    }
    const left = await this.#imagesOn(id)
    if (left.length > 0)
      fail({ kind: 'internal', what: `somebody else keeps naming images on layer ${id} (${left.flatMap(namesOf).join(', ')})` })
  }

  async #deleteRecord(name: string): Promise<void> {
    await this.#parts.daemon.callUnless('NOT_FOUND', 'delete an image', ({ images }, options) =>
      images.delete({ name, sync: false }, options),
    )
  }

  async #remove(id: LayerId, name: string): Promise<void> {
    const { snapshots, pending, sweeper } = this.#parts
    try {
      await snapshots.remove(name)
    } catch (error) {
      const failure = failureOf(error)
      if (failure.kind !== 'runtime' || failure.code !== 'FAILED_PRECONDITION') throw error
      // Somebody has put a container on it since we looked.
      fail({ kind: 'layer-in-use', layer: id, mounts: [], snapshots: [`something new on ${name}`] }, error)
    }
    // What waits for a place above it has directories as the damaged one had them.
    const layer = layerIdIn(name)
    const above = layer === undefined ? [] : pending.takeWithAbove(layer)
    for (const { dir } of above) await sweeper.discard(dir)
  }
}

/** The failure, once these images had gone. */
const since = (failure: Failure, away: readonly Withdrawal[]): Failure =>
  failure.kind === 'layer-in-use' ? { ...failure, removed: away.map(({ image }) => namesOf(image)[0] ?? image.id) } : failure

/** The snapshot of this name and all above it, each after the one it stands on. */
function standingOn(all: readonly Info__Output[], name: string): readonly Info__Output[] {
  const above = Map.groupBy(all, ({ parent }) => parent)
  const found = all.filter((info) => info.name === name)
  // Grows while it is walked.
  for (const info of found) found.push(...(above.get(info.name) ?? []))
  return found
}
