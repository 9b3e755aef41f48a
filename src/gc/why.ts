/** What holds a thing: an image, a layer, or a document of an image. */
import { sha256 } from '../oci/digest.ts'
import { findImage, layersOn } from '../store/lookup.ts'
import { nameOf } from '../store/names.ts'
import { standing } from '../store/pins.ts'
import type { Holders, Inventory, Store, StoredImage, StoredLayer } from '../store/store.ts'

/** `unknown`: another store may need it, and what it says of itself cannot be read. */
export const HOLDS = ['name', 'pin', 'image', 'pull', 'read', 'mount', 'store', 'unknown'] as const
export const THINGS = ['image', 'layer', 'manifest', 'index', 'config'] as const

export type Hold = {
  readonly kind: (typeof HOLDS)[number]
  readonly detail: string
}

/** Without holds it goes with the next collection. */
export type HeldThing = {
  readonly kind: (typeof THINGS)[number]
  readonly digest: string
  /** An image's names; what else a layer is known by. */
  readonly names: readonly string[]
  readonly holds: readonly Hold[]
}

type Here = Pick<Store, 'find' | 'images' | 'layer' | 'holdings'>

/** A digest in full, or its first digits. */
const DIGITS = /^(?:sha256:)?([0-9a-f]{6,64})$/

/** Everything `name` can mean that is here: an image by name or id, layers by id, diffID or blob, documents by digest. Throws invalid-reference. */
export async function why(store: Here, name: string): Promise<readonly HeldThing[]> {
  const { images, layers, holders } = await inventoryOf(store)
  const found = await findImage(store, name)
  if (found !== undefined) return [heldImage(found.image, holders)]
  const digits = DIGITS.exec(name)?.[1]
  if (digits === undefined) return []
  const isMeant = (digest: string): boolean => digest.replace(/^sha256:/, '').startsWith(digits)
  const things = images.flatMap((image): HeldThing[] => [
    ...documentsOf(image).flatMap(([kind, digest]) =>
      isMeant(digest) ? [{ kind, digest, names: [], holds: [{ kind: 'image' as const, detail: nameOf(image) }] }] : [],
    ),
  ])
  for (const layer of layers) {
    if ([layer.id, ...diffIdsOf(images, layer), ...blobsOf(images, layer)].some(isMeant))
      things.push(heldLayer(layer, images, holders))
  }
  return things
}

function heldImage(image: StoredImage, holders: Holders | undefined): HeldThing {
  const { id, tags, digests, pins, layerIds } = image
  const top = layerIds.at(-1)
  const holds: Hold[] = [
    ...[...tags, ...digests].map((name) => ({ kind: 'name' as const, detail: name })),
    ...standing(pins).map(({ owner, reason, until }) => ({
      kind: 'pin' as const,
      detail: `${owner}, ${until === undefined ? 'for good' : `until ${until.toISOString()}`}${reason === '' ? '' : `: ${reason}`}`,
    })),
    ...(top === undefined ? [] : holdsOn(top, holders)),
  ]
  return { kind: 'image', digest: id, names: [...tags, ...digests], holds }
}

function heldLayer(layer: StoredLayer, images: readonly StoredImage[], holders: Holders | undefined): HeldThing {
  const { id } = layer
  const standingOn = images.filter(({ layerIds }) => layerIds.includes(id))
  return {
    kind: 'layer',
    digest: id,
    names: [
      ...diffIdsOf(images, layer).map((diffId) => `diffID ${diffId}`),
      ...blobsOf(images, layer).map((blob) => `blob ${blob}`),
    ],
    holds: [...standingOn.map((image) => ({ kind: 'image' as const, detail: nameOf(image) })), ...holdsOn(id, holders)],
  }
}

function holdsOn(id: StoredLayer['id'], holders: Holders | undefined): readonly Hold[] {
  if (holders === undefined) return []
  const { leased, read, mounted, adopted } = holders
  return [
    ...(leased.has(id) ? [{ kind: 'pull' as const, detail: 'a pull in flight needs it' }] : []),
    ...(read.has(id) ? [{ kind: 'read' as const, detail: 'it is being compared or copied' }] : []),
    ...(mounted.get(id) ?? []).map((target) => ({ kind: 'mount' as const, detail: `mounted at ${target}` })),
    ...(adopted.kind === 'known' && adopted.layers.has(id)
      ? [{ kind: 'store' as const, detail: 'a container or an image of podman or CRI-O stands on it' }]
      : []),
    ...(adopted.kind === 'unknown' ? [{ kind: 'unknown' as const, detail: adopted.why }] : []),
  ]
}

/** The blob a layer came out of, and those that images list for it. */
function blobsOf(images: readonly StoredImage[], { id, facts }: StoredLayer): readonly string[] {
  const listed = images.flatMap(({ layerIds, layers }) => layers.filter((_, at) => layerIds[at] === id))
  return [...new Set([...(facts?.blob === undefined ? [] : [facts.blob]), ...listed].map(({ digest }) => digest))]
}

/** One, known where the layer was unpacked here, else by the images on it. */
function diffIdsOf(images: readonly StoredImage[], { id, diffId }: StoredLayer): readonly string[] {
  const listed = images.flatMap(({ layerIds, config }) => config.diffIds.filter((_, at) => layerIds[at] === id))
  return [...new Set([...(diffId === undefined ? [] : [diffId]), ...listed])]
}

const documentsOf = ({
  id,
  manifest,
  indexBytes,
}: StoredImage): readonly (readonly ['config' | 'manifest' | 'index', string])[] => [
  ['config', id],
  ['manifest', manifest.digest],
  ...(indexBytes === undefined ? [] : [['index', sha256(indexBytes)] as const]),
]

/** Layers that no image needs, and something else holds. */
export const heldAlone = ({ images, layers, holders }: Inventory): readonly HeldThing[] => {
  const needed = new Set(images.flatMap(({ layerIds }) => layerIds))
  return layers
    .filter(({ id }) => !needed.has(id))
    .map((layer) => heldLayer(layer, images, holders))
    .filter(({ holds }) => holds.length > 0)
}

type Contents = {
  readonly images: readonly StoredImage[]
  readonly layers: readonly StoredLayer[]
  readonly holders: Holders | undefined
}

/** What a runtime holds its layers by is not told: of it, those of images are seen. */
async function inventoryOf(store: Here): Promise<Contents> {
  if (store.holdings !== undefined) return await store.holdings.look()
  const images = await store.images()
  const layers = [...(await layersOn(store, images)).values()].filter((layer) => layer !== undefined)
  return { images, layers, holders: undefined }
}
