/** Brings the damaged layers of images again, by pulling the images by the digests they came by: whatever a tag names by now, it is these bytes. */
import { describe, failureOf } from '../failure/failure.ts'
import type { StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { PullAgain, VerifyEvent } from './verify.ts'

/** One that cannot be pulled does not keep the others from it. Throws cancelled. */
export async function repairImages(
  images: readonly StoredImage[],
  pullAgain: PullAgain,
  options: Abortable & { readonly onEvent: (event: VerifyEvent) => void },
): Promise<void> {
  const { signal, onEvent } = options
  for (const image of images) {
    const name = image.tags.at(-1) ?? image.digests.at(-1) ?? image.id
    onEvent({ type: 'repairing', image: name })
    const reason = await whyNot(image, pullAgain, { signal })
    if (reason !== undefined) onEvent({ type: 'repair-failed', image: name, reason })
  }
}

/** Tries every digest it is known by, newest first; undefined once one was pulled. */
async function whyNot(image: StoredImage, pullAgain: PullAgain, { signal }: Abortable): Promise<string | undefined> {
  const reasons: string[] = []
  for (const digestName of image.digests.toReversed()) {
    try {
      await pullAgain(image, digestName, { signal })
      return undefined
    } catch (error) {
      if (signal.aborted) throw error
      reasons.push(describe(failureOf(error)))
    }
  }
  return reasons.length === 0 ? 'it has no digest to pull it by' : reasons.join('; ')
}
