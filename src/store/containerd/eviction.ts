/**
 * Takes images out of containerd so that they can be pulled again: a committed snapshot must not be changed, and containerd has no call that
 * puts another in its place. Only what nothing uses goes, by containerd's own calls, in an order in which a crash leaves no image without
 * its layers:
 *
 *     look who stands on the layer → a lease on the images' documents → their names go → the snapshots, topmost first
 *     (pulled again) → the other names come back → the lease goes
 *
 * containerd refuses to remove what a container's snapshot stands on, whenever that was made.
 */
import { fail, failureOf } from '../../failure/failure.ts'
import { isDigest, type LayerId } from '../../oci/digest.ts'
import type { Image__Output } from '../../rpc/generated/containerd/services/images/v1/Image.ts'
import type { Info__Output } from '../../rpc/generated/containerd/services/snapshots/v1/Info.ts'
import { Kind } from '../../rpc/generated/containerd/services/snapshots/v1/Kind.ts'
import type { StoreLog } from '../common/log.ts'
import type { Evicted, Evictions, StoredImage } from '../store.ts'
import type { Catalog } from './catalog.ts'
import type { Daemon } from './daemon.ts'
import type { ContainerdLease, Leases } from './leases.ts'
import { chainIdOf } from './names.ts'
import { overlaysOver } from './overlays.ts'
import { layerIdIn, type Snapshots } from './snapshots.ts'
import type { Staging } from './staging.ts'

export type EvictorParts = {
  readonly daemon: Daemon
  readonly catalog: Catalog
  readonly snapshots: Snapshots
  readonly leases: Leases
  readonly staging: Staging
  readonly log: StoreLog
}

/** An image and the records it had. */
type Withdrawn = { readonly image: StoredImage; readonly records: readonly Image__Output[] }

export class Evictor implements Evictions {
  readonly #parts: EvictorParts

  constructor(parts: EvictorParts) {
    this.#parts = parts
  }

  async evict(id: LayerId): Promise<Evicted> {
    const { daemon, catalog, snapshots, leases } = this.#parts
    const images = (await catalog.images()).filter(({ layerIds }) => layerIds.includes(id))
    const standing = standingOn(await snapshots.all(), chainIdOf(id))
    await this.#checkUnused(id, images, standing)
    await using undo = new AsyncDisposableStack()
    const lease = undo.use(await leases.create())
    const withdrawn = await this.#recordsOf(images)
    // What lies below is held by what goes.
    const below = standing[0]?.parent ?? ''
    if (below !== '') await lease.hold({ snapshot: below })
    for (const { records } of withdrawn)
      for (const { target } of records)
        if (target !== null && isDigest(target.digest)) await lease.hold({ content: target.digest })
    undo.defer(() => daemon.undo(() => this.#giveBack(withdrawn, lease)))
    for (const { records } of withdrawn) for (const { name } of records) await this.#deleteRecord(name)
    for (const { name } of standing.toReversed()) await this.#remove(id, name)
    const held = undo.move()
    return { images, [Symbol.asyncDispose]: () => held.disposeAsync() }
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
    for (const { name } of standing) {
      const layer = layerIdIn(name)
      const found = layer === undefined ? undefined : await this.#parts.snapshots.find(layer)
      if (found !== undefined) trees.push(found.diff)
    }
    const mounts = overlaysOver(trees, this.#parts.staging.snapshots)
    if (mounts.length > 0) fail({ kind: 'layer-in-use', layer: id, mounts })
  }

  async #recordsOf(images: readonly StoredImage[]): Promise<readonly Withdrawn[]> {
    const { catalog } = this.#parts
    const all = await this.#records()
    const withdrawn: Withdrawn[] = []
    for (const image of images) {
      const names = new Set((await catalog.recordsOf(image.id)).map(({ name }) => name))
      withdrawn.push({ image, records: all.filter(({ name }) => names.has(name)) })
    }
    return withdrawn
  }

  async #records(): Promise<readonly Image__Output[]> {
    return (await this.#parts.daemon.call('list images', (c, options) => c.images.list({}, options))).images
  }

  async #deleteRecord(name: string): Promise<void> {
    await this.#parts.daemon.callUnless('NOT_FOUND', 'delete an image', ({ images }, options) =>
      images.delete({ name, sync: false }, options),
    )
  }

  async #remove(id: LayerId, name: string): Promise<void> {
    try {
      await this.#parts.snapshots.remove(name)
    } catch (error) {
      const failure = failureOf(error)
      if (failure.kind !== 'runtime' || failure.code !== 'FAILED_PRECONDITION') throw error
      // Somebody has put a container on it since we looked.
      fail({ kind: 'layer-in-use', layer: id, mounts: [], snapshots: [`something new on ${name}`] }, error)
    }
  }

  async #giveBack(withdrawn: readonly Withdrawn[], lease: ContainerdLease): Promise<void> {
    const { snapshots, log } = this.#parts
    for (const { image, records } of withdrawn) {
      const top = image.layerIds.at(-1)
      if (top !== undefined && !(await snapshots.exists(top))) {
        const names = [...image.tags, ...image.digests]
        log.warn({ image: image.id, names }, 'this image was removed for a repair and has not come again; pull it')
        continue
      }
      const now = new Map((await this.#records()).map((record) => [record.name, record]))
      for (const record of records) await this.#putBack(record, now.get(record.name), lease)
    }
  }

  /** What has come again meanwhile stays where it leads; where that is the same, it gets the labels it had. */
  async #putBack({ name, target, labels }: Image__Output, now: Image__Output | undefined, lease: ContainerdLease): Promise<void> {
    const { daemon } = this.#parts
    const image = { name, target, labels }
    const paths = Object.keys(labels).map((label) => `labels.${label}`)
    if (now === undefined)
      await daemon.callUnless('ALREADY_EXISTS', 'create an image', (c, options) => c.images.create({ image }, options), lease.id)
    else if (now.target?.digest === target?.digest && paths.length > 0)
      await daemon.callUnless('NOT_FOUND', 'update an image', ({ images }, options) =>
        images.update({ image, updateMask: { paths } }, options),
      )
  }
}

/** The snapshot of this name and all above it, each after the one it stands on. */
function standingOn(all: readonly Info__Output[], name: string): readonly Info__Output[] {
  const above = Map.groupBy(all, ({ parent }) => parent)
  const found = all.filter((info) => info.name === name)
  // Grows while it is walked.
  for (const info of found) found.push(...(above.get(info.name) ?? []))
  return found
}
