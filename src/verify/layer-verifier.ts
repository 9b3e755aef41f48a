/** Verifies the layers of images, each once, a few at a time. */
import { describe, fail, failureOf } from '../failure/failure.ts'
import type { DiffId, LayerId } from '../oci/digest.ts'
import { findImage, layersOn } from '../store/lookup.ts'
import { namesOf } from '../store/names.ts'
import type { CopyableLayer, Store, StoredImage, StoredLayer } from '../store/store.ts'
import { Limiter } from '../task/limiter.ts'
import type { Abortable } from '../task/task.ts'
import type { Verdict, Verifier } from '../unpack/unpack.ts'
import { finishRepairs, repairByEviction, repairImages } from './repair.ts'
import { SharedLeases } from './shared-leases.ts'
import type { LayerToVerify, LayerVerdict, LayerVerifier, PullAgain, VerifyEvent, VerifyRequest } from './verify.ts'

/** How many layers have a directory and wait for a worker. The unpacker says how many it takes at once. */
const AT_ONCE = 4

export type LayerVerifierParts = {
  readonly store: Pick<Store, 'find' | 'images' | 'layer' | 'lease' | 'stage' | 'health' | 'evictions'>
  readonly verifier: Verifier
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
}

export const createLayerVerifier = (parts: LayerVerifierParts): LayerVerifier => ({
  verify: (request, options) => verify(parts, request, options),
  finishRepairs: (again, options) => finishRepairs(parts, again, options),
})

type Listening = Abortable & { readonly onEvent: (event: VerifyEvent) => void }

async function verify(parts: LayerVerifierParts, request: VerifyRequest, options: Listening): Promise<void> {
  const { store } = parts
  const { onEvent } = options
  const started = performance.now()
  const images = await imagesNamed(store, request.images)
  const layers = await layersOf(store, images)
  onEvent({ type: 'planned', layers })
  const all = layers.map((_, at) => at)
  const bad = await verifyLayers(parts, images, layers, all, options)
  if (request.repair !== undefined && bad.length > 0) {
    const ids = bad.flatMap((at) => layers[at]?.layerId ?? [])
    await repair(store, images, ids, request.repair, options)
    await verifyLayers(parts, images, layers, bad, options)
  }
  onEvent({ type: 'done', ms: performance.now() - started })
}

async function repair(
  store: LayerVerifierParts['store'],
  images: readonly StoredImage[],
  damaged: readonly LayerId[],
  again: PullAgain,
  options: Listening,
): Promise<void> {
  const { evictions } = store
  if (evictions !== undefined) return await repairByEviction({ store, evictions, again }, damaged, options)
  const affected = images.filter(({ layerIds }) => layerIds.some((id) => damaged.includes(id)))
  await repairImages(await stillHere(store, affected), again, options)
}

/** Throws image-unknown with all that are not here, invalid-reference. */
async function imagesNamed(store: LayerVerifierParts['store'], names: readonly string[]): Promise<readonly StoredImage[]> {
  if (names.length === 0) return await store.images()
  const found = await Promise.all(names.map((name) => findImage(store, name)))
  const missing = names.filter((_, at) => found[at] === undefined)
  if (missing.length > 0) fail({ kind: 'image-unknown', names: missing })
  const images = found.flatMap((each) => (each === undefined ? [] : [each.image]))
  return [...new Map(images.map((image) => [image.id, image])).values()]
}

/** What was removed meanwhile must not come back by its repair. */
async function stillHere(store: LayerVerifierParts['store'], images: readonly StoredImage[]): Promise<readonly StoredImage[]> {
  const found = await Promise.all(images.map(({ id }) => store.find(id)))
  return found.filter((image) => image !== undefined)
}

/** Each layer once, base layers of the first image first. */
async function layersOf(store: LayerVerifierParts['store'], images: readonly StoredImage[]): Promise<readonly LayerToVerify[]> {
  const found = new Map<LayerId, { readonly diffId: DiffId; readonly names: string[] }>()
  for (const image of images)
    for (const [at, diffId] of image.config.diffIds.entries()) {
      const id = image.layerIds[at]
      if (id === undefined) fail({ kind: 'internal', what: `image ${image.id} has no layer ${at}` })
      const { names } = found.get(id) ?? { names: [] }
      found.set(id, { diffId, names: [...names, ...namesOf(image)] })
    }
  const here = await layersOn(store, images)
  return [...found].map(([layerId, { diffId, names }]) => {
    const bytes = here.get(layerId)?.facts?.diffSize ?? 0
    return { layerId, diffId, bytes, images: names }
  })
}

/** Verifies those at `which`; gives back those of them that are damaged. */
async function verifyLayers(
  parts: LayerVerifierParts,
  images: readonly StoredImage[],
  layers: readonly LayerToVerify[],
  which: readonly number[],
  { signal, onEvent }: Listening,
): Promise<readonly number[]> {
  const limiter = new Limiter(AT_ONCE)
  const failed = new AbortController()
  const both = { signal: AbortSignal.any([signal, failed.signal]) }
  const treesOf = treesIn(parts.store, images)
  const users = which.flatMap((at) => layers[at] ?? []).map(({ layerId }) => imageWith(images, layerId))
  await using leases = new SharedLeases(users, (image) => leaseOn(parts.store, image))
  const one = async (at: number): Promise<readonly number[]> => {
    const layer = layers[at]
    if (layer === undefined) return []
    try {
      using _permit = await limiter.acquire(both)
      const onProgress = (bytes: number): void => onEvent({ type: 'progress', layer: at, bytes })
      const verdict = await verdictOn({ ...parts, images, treesOf, leases }, layer, { ...both, onProgress })
      onEvent({ type: 'layer', layer: at, verdict })
      return verdict.outcome === 'damaged' ? [at] : []
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  // All are waited for: whoever asked must not find them at work afterwards.
  const settled = await Promise.allSettled(which.map(one))
  if (failed.signal.aborted) throw signal.aborted ? signal.reason : failed.signal.reason
  return settled.flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
}

/** The trees of an image, base first; undefined for what is not here. */
type Trees = readonly (string | undefined)[]

/** Finds for each layer the trees of the first image it is part of, and its place among them. Each image is looked up once. */
function treesIn(
  store: LayerVerifierParts['store'],
  images: readonly StoredImage[],
): (id: LayerId) => Promise<{ readonly trees: Trees; readonly at: number }> {
  const known = new Map<StoredImage, Promise<Trees>>()
  return async (id) => {
    const image = imageWith(images, id)
    const looking = known.get(image) ?? treesOf(store, image)
    known.set(image, looking)
    return { trees: await looking, at: image.layerIds.indexOf(id) }
  }
}

async function treesOf(store: LayerVerifierParts['store'], image: StoredImage): Promise<Trees> {
  const here = await layersOn(store, [image])
  return image.layerIds.map((id) => here.get(id)?.diff)
}

const imageWith = (images: readonly StoredImage[], id: LayerId): StoredImage =>
  images.find(({ layerIds }) => layerIds.includes(id)) ?? fail({ kind: 'internal', what: `layer ${id} is of no image` })

async function leaseOn(store: LayerVerifierParts['store'], { layerIds }: StoredImage): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack()
  const lease = undo.use(store.lease('read'))
  await lease.retain(layerIds)
  return undo.move()
}

type Watching = Abortable & { readonly onProgress: (bytes: number) => void }

type Desk = LayerVerifierParts & {
  readonly images: readonly StoredImage[]
  readonly treesOf: ReturnType<typeof treesIn>
  readonly leases: SharedLeases<StoredImage>
}

/** That nothing could be found out about one layer does not keep the others from being told. */
async function verdictOn(parts: Desk, layer: LayerToVerify, options: Watching): Promise<LayerVerdict> {
  const started = performance.now()
  const told = (verdict: Omit<LayerVerdict, 'ms'>): LayerVerdict => ({ ...verdict, ms: performance.now() - started })
  const nothing = { differences: [], total: 0, digest: 'unknowable' } as const
  try {
    // Only while it is read, and with those it is looked at among: images do not stay for having been verified.
    await using _lease = await parts.leases.take(imageWith(parts.images, layer.layerId))
    // Asked for again before each use: it may have been replaced, or have gone.
    const stored = await parts.store.layer(layer.layerId)
    if (stored === undefined) return told({ ...nothing, outcome: 'unknown', reason: 'it is not here; pull its image again' })
    if (!isCopyable(stored)) {
      const { unverifiable: reason = 'it has no tar-split file' } = stored
      return told({ ...nothing, outcome: 'unverifiable', reason })
    }
    return told(await judge(parts, stored, await compare(parts, layer, stored, options)))
  } catch (error) {
    const failure = failureOf(error)
    // Rights are lacking for all of them.
    if (options.signal.aborted || failure.kind === 'not-permitted') throw error
    return told({ ...nothing, outcome: 'unknown', reason: describe(failure) })
  }
}

const isCopyable = (layer: StoredLayer): layer is CopyableLayer =>
  layer.diffId !== undefined && layer.facts !== undefined && layer.tarSplit !== undefined

/** What is found is remembered before it is told, where the store remembers. */
async function judge(
  { store: { health }, log }: LayerVerifierParts,
  layer: CopyableLayer,
  { differences, total, digest }: Verdict,
): Promise<Omit<LayerVerdict, 'ms'>> {
  const [first] = differences
  if (first === undefined) {
    if (layer.damage !== undefined) await health?.mark(layer, undefined)
    return { outcome: 'sound', differences, total, digest }
  }
  // There nobody needs the tar-split but who verifies: without it nothing is known of the layer.
  if (health === undefined && first.kind === 'tar-split')
    return { outcome: 'unverifiable', differences: [], total: 0, digest: 'unknowable', reason: first.detail }
  const healed = health === undefined ? 'windlass verify --repair' : 'the next pull of its image'
  log.warn({ layer: layer.id, differences: total, first }, `a layer is damaged; ${healed} brings it again`)
  await health?.mark(layer, { foundAt: new Date(), differences: total, first: `${first.path}: ${first.detail}` })
  return { outcome: 'damaged', differences, total, digest }
}

async function compare(
  { store, verifier, treesOf }: Desk,
  { layerId, diffId }: LayerToVerify,
  { diff, facts, tarSplit }: CopyableLayer,
  options: Watching,
): Promise<Verdict> {
  const { trees, at } = await treesOf(layerId)
  const lowers = trees
    .slice(0, at)
    .map((tree) => tree ?? fail({ kind: 'internal', what: `a layer below ${layerId} is not here` }))
    .toReversed()
  const among = trees.filter((tree) => tree !== undefined)
  await using staged = await store.stage(diffId)
  const job = { dir: staged.dir, diffId, diff, tarSplit, lowers, among, diffSize: facts.diffSize }
  return await verifier.verify(job, options)
}
