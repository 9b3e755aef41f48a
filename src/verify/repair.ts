/** Brings the damaged layers of images again, by pulling the images by the digests they came by: whatever a tag names by now, it is these bytes. */
import { describe, failureOf } from '../failure/failure.ts'
import type { LayerId } from '../oci/digest.ts'
import { nameOf } from '../store/names.ts'
import type { Evicted, Evictions, Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { ImageToPull, PullAgain, VerifyEvent } from './verify.ts'

type Listening = Abortable & { readonly onEvent: (event: VerifyEvent) => void }

/** One that cannot be pulled does not keep the others from it. Throws cancelled. */
export async function repairImages(images: readonly StoredImage[], again: PullAgain, options: Listening): Promise<void> {
  const { signal, onEvent } = options
  for (const image of images) {
    onEvent({ type: 'repairing', image: nameOf(image) })
    const reason = await whyNot(toPull(image), again.pull, { signal })
    if (reason !== undefined) onEvent({ type: 'repair-failed', image: nameOf(image), reason })
  }
}

export type EvictionParts = {
  readonly store: Pick<Store, 'images'>
  readonly evictions: Evictions
  readonly again: PullAgain
}

/**
 * The same where layers cannot be replaced: everything that stands on a damaged one has to come again with it. Throws cancelled; but images
 * that have been taken away are pulled again whoever leaves.
 */
export async function repairByEviction(parts: EvictionParts, damaged: readonly LayerId[], options: Listening): Promise<void> {
  const { signal } = options
  const gone = new Set<LayerId>()
  for (const id of damaged) {
    signal.throwIfAborted()
    // It went with one below it.
    if (gone.has(id)) continue
    for (const each of await repairLayer(parts, id, options)) gone.add(each)
  }
}

/** Gives back the layers that were taken away. */
async function repairLayer(
  { store, evictions, again }: EvictionParts,
  id: LayerId,
  { signal, onEvent }: Listening,
): Promise<readonly LayerId[]> {
  const images = (await store.images()).filter(({ layerIds }) => layerIds.includes(id))
  for (const image of images) onEvent({ type: 'repairing', image: nameOf(image) })
  const failed = (image: Pick<ImageToPull, 'id' | 'tags' | 'digests'>, reason: string): void =>
    onEvent({ type: 'repair-failed', image: nameOf(image), reason })
  try {
    const hopeless = await whyHopeless(images, id, again, { signal })
    if (hopeless !== undefined) {
      for (const image of images) failed(image, `nothing was removed: ${hopeless}`)
      return []
    }
    await using evicted = await evictions.evict(id, { signal })
    const missing = await bringBack(evicted, again)
    for (const [image, reason] of missing)
      failed(image, `it was removed, and could not be pulled again, which is tried once more when the daemon starts: ${reason}`)
    const { failure } = evicted
    if (failure !== undefined)
      for (const image of images)
        if (![...missing.keys()].some((other) => other.id === image.id)) failed(image, describe(failure))
    return failure === undefined ? evicted.images.flatMap(({ layerIds }) => layerIds.slice(layerIds.indexOf(id))) : []
  } catch (error) {
    if (signal.aborted) throw error
    for (const image of images) failed(image, describe(failureOf(error)))
    return []
  }
}

/** What a repair before has left away. Throws cancelled, runtime-down. */
export async function finishRepairs(
  { store, log }: { readonly store: Pick<Store, 'evictions'>; readonly log: RepairLog },
  again: Pick<PullAgain, 'pull'>,
  { signal }: Abortable,
): Promise<void> {
  await using evicted = await store.evictions?.unfinished()
  if (evicted === undefined) return
  signal.throwIfAborted()
  const missing = await bringBack(evicted, again)
  for (const image of evicted.images) {
    const reason = missing.get(image)
    if (reason === undefined)
      log.info({ image: image.id, name: nameOf(image) }, 'an image that was removed for a repair is here again')
    else
      log.warn(
        { image: image.id, name: nameOf(image), reason },
        'an image that was removed for a repair could not be pulled again',
      )
  }
}

type RepairLog = { info(fields: object, message: string): void; warn(fields: object, message: string): void }

/** Pulls what was taken away, whoever leaves; why some of it did not come. */
async function bringBack({ images }: Evicted, again: Pick<PullAgain, 'pull'>): Promise<ReadonlyMap<ImageToPull, string>> {
  const staying = { signal: new AbortController().signal }
  const missing = new Map<ImageToPull, string>()
  for (const image of images) {
    const reason = await whyNot(image, again.pull, staying)
    if (reason !== undefined) missing.set(image, reason)
  }
  return missing
}

/** Asks for all of them before anything goes: why one could not be pulled again. */
async function whyHopeless(
  images: readonly StoredImage[],
  id: LayerId,
  again: PullAgain,
  { signal }: Abortable,
): Promise<string | undefined> {
  for (const image of images) {
    const from = image.layerIds.indexOf(id)
    const reason = await whyNot(toPull(image), (each, name, options) => again.check(each, name, { ...options, from }), { signal })
    if (reason !== undefined) return `${nameOf(image)} could not be pulled again: ${reason}`
  }
  return undefined
}

const toPull = ({ id, tags, digests, config }: StoredImage): ImageToPull => ({ id, tags, digests, platform: config.platform })

/** Tries every digest it is known by, newest first; undefined once one served. */
async function whyNot(image: ImageToPull, attempt: PullAgain['pull'], { signal }: Abortable): Promise<string | undefined> {
  const reasons: string[] = []
  for (const digestName of image.digests.toReversed()) {
    try {
      await attempt(image, digestName, { signal })
      return undefined
    } catch (error) {
      if (signal.aborted) throw error
      reasons.push(describe(failureOf(error)))
    }
  }
  return reasons.length === 0 ? 'it has no digest to pull it by' : reasons.join('; ')
}
