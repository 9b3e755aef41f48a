/** Verifies the layers of images, each once, a few at a time. */
import { describe, fail, failureOf } from '../failure/failure.ts'
import type { LayerId } from '../oci/digest.ts'
import { findImage } from '../store/lookup.ts'
import type { Health, OwnLayer, Store, StoredImage, StoredLayer } from '../store/store.ts'
import { Limiter } from '../task/limiter.ts'
import type { Abortable } from '../task/task.ts'
import type { Verdict, Verifier } from '../unpack/unpack.ts'
import { repairImages } from './repair.ts'
import type { LayerToVerify, LayerVerdict, LayerVerifier, VerifyEvent, VerifyRequest } from './verify.ts'

/** How many layers have a directory and wait for a worker. The unpacker says how many it takes at once. */
const AT_ONCE = 4

export type LayerVerifierParts = {
  readonly store: Pick<Store, 'find' | 'images' | 'layer' | 'lease' | 'stage' | 'health'>
  readonly verifier: Verifier
  readonly log: { warn(fields: object, message: string): void }
}

export const createLayerVerifier = (parts: LayerVerifierParts): LayerVerifier => ({
  verify: (request, options) => verify(parts, request, options),
})

type Listening = Abortable & { readonly onEvent: (event: VerifyEvent) => void }

async function verify(parts: LayerVerifierParts, request: VerifyRequest, options: Listening): Promise<void> {
  const { store } = parts
  const { onEvent } = options
  const started = performance.now()
  const reason = 'the layers are in the runtime’s store, which keeps no tar-split: there is nothing yet to verify them by'
  const health = store.health ?? fail({ kind: 'passthrough', reason })
  const images = await imagesNamed(store, request.images)
  const layers = await layersOf(store, images)
  onEvent({ type: 'planned', layers })
  const all = layers.map((_, at) => at)
  const bad = await verifyLayers(parts, health, layers, all, options)
  if (request.repair !== undefined && bad.length > 0) {
    const ids = new Set(bad.map((at) => layers[at]?.layerId))
    const damaged = images.filter(({ layerIds }) => layerIds.some((id) => ids.has(id)))
    await repairImages(await stillHere(store, damaged), request.repair, options)
    await verifyLayers(parts, health, layers, bad, options)
  }
  onEvent({ type: 'done', ms: performance.now() - started })
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

const nameOf = ({ tags, digests, id }: StoredImage): string => tags.at(-1) ?? digests.at(-1) ?? id

/** Each layer once, base layers of the first image first; without those that went with their image while it was asked for. */
async function layersOf(store: LayerVerifierParts['store'], images: readonly StoredImage[]): Promise<readonly LayerToVerify[]> {
  const names = new Map<LayerId, string[]>()
  for (const image of images) for (const id of image.layerIds) names.set(id, [...(names.get(id) ?? []), nameOf(image)])
  const known = await Promise.all(
    [...names].map(async ([layerId, ofImages]) => {
      const layer = await ownLayer(store, layerId)
      if (layer === undefined) return []
      return [{ layerId, diffId: layer.diffId, bytes: layer.facts.diffSize, images: ofImages }]
    }),
  )
  return known.flat()
}

/** Asked for again before each use: it may have been replaced, or have gone. */
async function ownLayer(store: LayerVerifierParts['store'], id: LayerId): Promise<OwnLayer | undefined> {
  const layer = await store.layer(id)
  return layer !== undefined && isOwn(layer) ? layer : undefined
}

const isOwn = (layer: StoredLayer): layer is OwnLayer => layer.diffId !== undefined && layer.facts !== undefined

/** Verifies those at `which`; gives back those of them that are damaged. */
async function verifyLayers(
  parts: LayerVerifierParts,
  health: Health,
  layers: readonly LayerToVerify[],
  which: readonly number[],
  { signal, onEvent }: Listening,
): Promise<readonly number[]> {
  const limiter = new Limiter(AT_ONCE)
  const failed = new AbortController()
  const both = { signal: AbortSignal.any([signal, failed.signal]) }
  const one = async (at: number): Promise<readonly number[]> => {
    const layer = layers[at]
    if (layer === undefined) return []
    try {
      using _permit = await limiter.acquire(both)
      const onProgress = (bytes: number): void => onEvent({ type: 'progress', layer: at, bytes })
      const verdict = await verdictOn(parts, health, layer.layerId, { ...both, onProgress })
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

/** What is found is remembered before it is told. That nothing could be found out about one layer does not keep the others from being told. */
async function verdictOn(
  { store, verifier, log }: LayerVerifierParts,
  health: Health,
  id: LayerId,
  options: Abortable & { readonly onProgress: (bytes: number) => void },
): Promise<LayerVerdict> {
  const started = performance.now()
  const unknown = (reason: string): LayerVerdict => {
    return { outcome: 'unknown', differences: [], total: 0, digest: 'unknowable', reason, ms: performance.now() - started }
  }
  try {
    // This one alone, and only while it is read: images do not stay for having been verified.
    await using lease = store.lease('read')
    await lease.retain([id])
    const layer = await ownLayer(store, id)
    if (layer === undefined) return unknown('it was removed with its image meanwhile')
    const verdict = await compare(store, verifier, layer, options)
    const { differences, total, digest } = verdict
    const [first] = differences
    if (first === undefined) {
      if (layer.damage !== undefined) await health.mark(layer, undefined)
      return { outcome: 'sound', differences, total, digest, ms: performance.now() - started }
    }
    log.warn({ layer: id, differences: total, first }, 'a layer is damaged; the next pull of its image brings it again')
    await health.mark(layer, { foundAt: new Date(), differences: total, first: `${first.path}: ${first.detail}` })
    return { outcome: 'damaged', differences, total, digest, ms: performance.now() - started }
  } catch (error) {
    const failure = failureOf(error)
    // Rights are lacking for all of them.
    if (options.signal.aborted || failure.kind === 'not-permitted') throw error
    return unknown(describe(failure))
  }
}

async function compare(
  store: LayerVerifierParts['store'],
  verifier: Verifier,
  layer: OwnLayer,
  options: Abortable & { readonly onProgress: (bytes: number) => void },
): Promise<Verdict> {
  const { diffId, diff, facts, tarSplit } = layer
  if (tarSplit === undefined) fail({ kind: 'internal', what: `layer ${layer.id} has no tar-split file` })
  await using staged = await store.stage(diffId)
  return await verifier.verify({ dir: staged.dir, diffId, diff, tarSplit, diffSize: facts.diffSize }, options)
}
