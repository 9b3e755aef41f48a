/** Removes an image by one of its names, and then what nothing needs any more. */
import type { FoundImage } from '../store/lookup.ts'
import type { Store, StoredImage } from '../store/store.ts'
import type { Collector } from './gc.ts'
import { type HeldThing, heldAlone } from './why.ts'

export type Removal = {
  readonly imageId: string
  readonly untagged: readonly string[]
  /** False when other tags keep the image. */
  readonly imageRemoved: boolean
  /** Both absent in a runtime's store: it collects when it sees fit. */
  readonly layersRemoved?: number
  readonly bytesFreed?: number
  /** Layers that no image needs any more, and something else does: a container, a mount, a pull. */
  readonly layersKept: number
  readonly kept: readonly HeldThing[]
}

export type RemovalParts = {
  readonly store: Pick<Store, 'find' | 'images' | 'layer' | 'remove' | 'untag' | 'holdings'>
  readonly collector: Collector
  readonly log: { info(fields: object, text: string): void }
}

/**
 * One tag goes alone, and takes the image along when it was the last; an id or digest names the image with all its tags. Undefined if
 * somebody else was faster. `client` is who asked, for the log. Throws no-space, system.
 */
export async function removeImage(
  { store, collector, log }: RemovalParts,
  found: FoundImage,
  client: 'cri' | 'control' | 'cli',
): Promise<Removal | undefined> {
  const { image } = found
  const untagged = found.by === 'tag' ? [found.tag] : [...image.tags]
  const done = found.by === 'tag' ? await store.untag(found.tag) : await store.remove(image.id)
  if (!done) return undefined
  const imageRemoved = (await store.find(image.id)) === undefined
  // Before the collection: what was asked for is done, whatever becomes of the layers.
  log.info({ client, image: image.id, tags: untagged }, imageRemoved ? 'removed' : 'untagged')
  const { layers, bytes } = await collector.collect()
  const kept = imageRemoved ? await keptOf(store, image) : []
  const freed = store.holdings === undefined ? {} : { layersRemoved: layers, bytesFreed: bytes }
  return { imageId: image.id, untagged, imageRemoved, ...freed, layersKept: kept.length, kept }
}

/** In a runtime's store, what stays and for how long is the runtime's to say. */
async function keptOf(store: RemovalParts['store'], removed: StoredImage): Promise<readonly HeldThing[]> {
  if (store.holdings === undefined) return []
  const here = await Promise.all(removed.layerIds.map((id) => store.layer(id)))
  if (here.every((one) => one === undefined)) return []
  const ids = new Set<string>(removed.layerIds)
  return heldAlone(await store.holdings.look()).filter(({ digest }) => ids.has(digest))
}
