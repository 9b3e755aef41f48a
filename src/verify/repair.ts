/** Brings the damaged layers of images again, by pulling the images by the digests they came by: whatever a tag names by now, it is these bytes. */
import { describe, failureOf } from '../failure/failure.ts'
import type { LayerId } from '../oci/digest.ts'
import { namesOf } from '../store/names.ts'
import type { Evictions, Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { PullAgain, VerifyEvent } from './verify.ts'

type Listening = Abortable & { readonly onEvent: (event: VerifyEvent) => void }

/** One that cannot be pulled does not keep the others from it. Throws cancelled. */
export async function repairImages(images: readonly StoredImage[], again: PullAgain, options: Listening): Promise<void> {
  const { signal, onEvent } = options
  for (const image of images) {
    onEvent({ type: 'repairing', image: nameOf(image) })
    const reason = await whyNot(image, again.pull, { signal })
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
export async function repairByEviction(
  { store, evictions, again }: EvictionParts,
  damaged: readonly LayerId[],
  options: Listening,
): Promise<void> {
  const { signal, onEvent } = options
  const staying = { signal: new AbortController().signal }
  const gone = new Set<LayerId>()
  for (const id of damaged) {
    signal.throwIfAborted()
    // It went with one below it.
    if (gone.has(id)) continue
    const images = (await store.images()).filter(({ layerIds }) => layerIds.includes(id))
    for (const image of images) onEvent({ type: 'repairing', image: nameOf(image) })
    const failed = (image: StoredImage, reason: string): void => onEvent({ type: 'repair-failed', image: nameOf(image), reason })
    try {
      const hopeless = await whyHopeless(images, again, { signal })
      if (hopeless !== undefined) {
        for (const image of images) failed(image, `nothing was removed: ${hopeless}`)
        continue
      }
      await using evicted = await evictions.evict(id)
      for (const { layerIds } of evicted.images) for (const each of layerIds.slice(layerIds.indexOf(id))) gone.add(each)
      for (const image of evicted.images) {
        const reason = await whyNot(image, again.pull, staying)
        if (reason !== undefined) failed(image, `it was removed, and could not be pulled again: ${reason}`)
      }
    } catch (error) {
      if (signal.aborted) throw error
      for (const image of images) failed(image, describe(failureOf(error)))
    }
  }
}

/** Asks for all of them before anything goes: why one could not be pulled again. */
async function whyHopeless(images: readonly StoredImage[], again: PullAgain, options: Abortable): Promise<string | undefined> {
  for (const image of images) {
    const reason = await whyNot(image, again.plan, options)
    if (reason !== undefined) return `${nameOf(image)} could not be pulled again: ${reason}`
  }
  return undefined
}

const nameOf = (image: StoredImage): string => namesOf(image).join(', ')

/** Tries every digest it is known by, newest first; undefined once one served. */
async function whyNot(image: StoredImage, attempt: PullAgain['pull'], { signal }: Abortable): Promise<string | undefined> {
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
