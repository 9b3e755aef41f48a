/** What a pod wants is here for good, though it was pulled ahead and might go by itself. */

import type { Log } from '../pull/log.ts'
import { findImage } from '../store/lookup.ts'
import type { Store, StoredImage } from '../store/store.ts'

/** Where images may go by themselves; they go nowhere else. */
export type Images = Pick<Store, 'find' | 'expiries'>

/** A pull of an image that is to stay; once more where its time was over, and it has gone while it was found here. */
export async function pullToStay<T extends { readonly image: StoredImage }>(
  images: Images | undefined,
  pull: () => Promise<T>,
  log: Log,
): Promise<T> {
  const pulled = await pull()
  if (await stays(images, pulled.image, log)) return pulled
  const again = await pull()
  await stays(images, again.image, log)
  return again
}

/**
 * False where it has gone since it was found. A failure fails no pull: an image that goes is pulled again when it is wanted next.
 */
async function stays(images: Images | undefined, image: StoredImage, log: Log): Promise<boolean> {
  try {
    return (await images?.expiries?.stays(image)) ?? true
  } catch (error) {
    log.warn({ image: image.id, err: error }, 'it was pulled, but may go by itself: its time to live could not be taken away')
    return true
  }
}

/** The same for a pull that the runtime has done: it takes the time from one name at most. */
export async function staysByName(images: Images | undefined, name: string, log: Log): Promise<void> {
  if (images?.expiries === undefined) return
  try {
    const found = await findImage(images, name)
    if (found !== undefined) await images.expiries.stays(found.image)
  } catch (error) {
    log.warn({ image: name, err: error }, 'the runtime has pulled it; whether it may go by itself could not be looked at')
  }
}
