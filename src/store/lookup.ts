/** Finds an image by whatever a person or kubelet calls it. */

import type { LayerId } from '../oci/digest.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import type { Reference } from '../reference/reference.ts'
import { Limiter } from '../task/limiter.ts'
import type { Store, StoredImage, StoredLayer } from './store.ts'

/** An image, and which of its names it was found by: a tag is one name among several, an id or digest stands for the whole image. */
export type FoundImage =
  | { readonly by: 'tag'; readonly tag: string; readonly image: StoredImage }
  | { readonly by: 'digest' | 'id'; readonly image: StoredImage }

/** An id, with or without its algorithm, or the beginning of one. */
const idLike = /^(?:sha256:)?[0-9a-f]{1,64}$/

/**
 * Looks `text` up as a reference in any spelling, then as an id or the beginning of one: a name wins over an id that looks like it, as in
 * containerd. Throws invalid-reference for what can be neither.
 */
export async function findImage(store: Pick<Store, 'find'>, text: string): Promise<FoundImage | undefined> {
  const isId = idLike.test(text)
  const named = isId ? nameOrUndefined(text) : parseReference(text)
  const found = named === undefined ? undefined : await findNamed(store, named)
  if (found !== undefined || !isId) return found
  const image = await store.find(text)
  return image === undefined ? undefined : { by: 'id', image }
}

async function findNamed(store: Pick<Store, 'find'>, reference: Reference): Promise<FoundImage | undefined> {
  const name = formatReference(reference)
  const image = await store.find(name)
  if (image === undefined) return undefined
  return reference.tag === undefined ? { by: 'digest', image } : { by: 'tag', tag: name, image }
}

/** A whole id is no name, the beginning of one may be: `cafe` is an id's first digits and docker.io/library/cafe. */
const nameOrUndefined = (text: string): Reference | undefined => (/[0-9a-f]{64}$/.test(text) ? undefined : parseReference(text))

/** Layers that are asked for at the same time. */
const LOOKS = 8

/**
 * The layers of these images, each asked for once; undefined for those that are not here. The topmost of an image first: in a runtime's store
 * what is asked about that one tells of all below it.
 */
export async function layersOn(
  store: Pick<Store, 'layer'>,
  images: readonly Pick<StoredImage, 'layerIds'>[],
): Promise<ReadonlyMap<LayerId, StoredLayer | undefined>> {
  const found = new Map<LayerId, StoredLayer | undefined>()
  const limiter = new Limiter(LOOKS)
  const { signal } = new AbortController()
  const look = async (id: LayerId): Promise<void> => {
    using _permit = await limiter.acquire({ signal })
    found.set(id, await store.layer(id))
  }
  for (const { layerIds } of images) {
    const [top, ...below] = layerIds.filter((id) => !found.has(id)).toReversed()
    if (top === undefined) continue
    await look(top)
    await Promise.all(below.map(look))
  }
  return found
}
