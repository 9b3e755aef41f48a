/** How an image that is declared stays: by a pin of its list's, and, in a runtime that removes images by their time, by a time that is renewed. */
import type { Digest } from '../oci/digest.ts'
import type { PullRequest } from '../pull/pull.ts'
import type { Credentials } from '../registry/registry.ts'
import type { Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import { withLogins } from './logins.ts'
import type { DeclaredImage, ImageList, Means, Place } from './prepull.ts'
import { OWNER_PREFIX, ownerOf } from './prepull.ts'

/** `isProtected`: pinned, and shown so. `isPulled`: its registry was asked. */
export type Kept = { readonly id: Digest; readonly isProtected: boolean; readonly isPulled: boolean }

/** Where a time takes the place of a pin: a node that is off for so long pulls again. */
const STAY_MS = 7 * 24 * 3_600_000

/**
 * Brings an image where it is not here, or where the registry must be asked, and renews what keeps it. Throws what a pull does, and what
 * the store says to a pin.
 */
export async function keep(
  place: Place,
  means: Means,
  list: ImageList,
  image: DeclaredImage,
  mustAsk: boolean,
  options: Abortable,
): Promise<Kept> {
  const { store } = place
  // A runtime's own time for the image is its pin's too: either promise ends, even if nobody is left to take it back.
  const stayMs = image.pinMs ?? (store.expiries === undefined ? undefined : STAY_MS)
  const isShown = async (id: Digest, isNew: boolean): Promise<boolean> =>
    (await place.showsPin?.(id, { ...options, isNew })) ?? true
  if (!mustAsk) {
    const here = await store.find(image.name)
    if (here !== undefined && isLongEnough(here, stayMs) && hasPin(here, list, stayMs))
      return { id: here.id, isProtected: await isShown(here.id, false), isPulled: false }
  }
  using ahead = await store.expiries?.begin()
  for (let isLast = false; ; isLast = true) {
    const here = mustAsk ? undefined : await store.find(image.name)
    const found = here ?? (await pullAhead(place, means, list, image, options))
    const until = await ahead?.give(found.id, new Date(Date.now() + (stayMs ?? STAY_MS)))
    if (until === 'gone' && !isLast) continue
    const isNew = !hasPin(found, list, stayMs)
    if (isNew) await pin(store, list, found.id, stayMs)
    return { id: found.id, isProtected: await isShown(found.id, isNew), isPulled: here === undefined }
  }
}

/** Its time is far, or it has none: giving it another is a write to each of its records. */
function isLongEnough({ expiry }: StoredImage, stayMs: number | undefined): boolean {
  return expiry === undefined || stayMs === undefined || expiry.at.getTime() - Date.now() > stayMs / 2
}

async function pullAhead(
  place: Place,
  means: Means,
  list: ImageList,
  image: DeclaredImage,
  options: Abortable,
): Promise<StoredImage> {
  if (image.archive === undefined)
    return await withLogins(await means.loginsFor(list, image, options), (credentials) =>
      pull(place, asked(image, credentials), options),
    )
  await using opened = await means.openArchive(image.archive, image, options)
  return await pull(place, { ...asked(image, { kind: 'anonymous' }), source: opened.repository }, options)
}

const asked = ({ reference }: DeclaredImage, credentials: Credentials): PullRequest => ({
  reference,
  credentials,
  client: 'prepull',
})

async function pull({ puller, confirm }: Place, request: PullRequest, options: Abortable): Promise<StoredImage> {
  const { image } = await puller.pull(request, options)
  await confirm?.(image.id, options)
  return image
}

/** A pin of this list's with half of its time left: each new one is written to disk. */
function hasPin({ pins }: StoredImage, list: ImageList, stayMs: number | undefined): boolean {
  const known = pins.find((pin) => pin.owner === ownerOf(list.name))
  if (known === undefined) return false
  const left = known.until === undefined ? undefined : known.until.getTime() - Date.now()
  return stayMs === undefined ? left === undefined : left !== undefined && left > stayMs / 2 && left <= stayMs
}

async function pin(store: Place['store'], list: ImageList, id: Digest, stayMs: number | undefined): Promise<void> {
  const since = new Date()
  const until = stayMs === undefined ? {} : { until: new Date(since.getTime() + stayMs) }
  await store.pin(id, { owner: ownerOf(list.name), reason: `declared by the image list ${list.name}`, since, ...until })
}

/** Takes back the pins of lists that do not declare what they pinned; returns what was. */
export async function release(
  store: Pick<Store, 'images' | 'unpin'>,
  lists: readonly ImageList[],
): Promise<readonly { readonly image: string; readonly owner: string }[]> {
  const declared = new Map(lists.map((list) => [ownerOf(list.name), new Set(list.images.map(({ name }) => name))]))
  const released: { image: string; owner: string }[] = []
  for (const { id, tags, digests, pins } of await store.images())
    for (const { owner } of pins) {
      if (!owner.startsWith(OWNER_PREFIX)) continue
      const names = declared.get(owner)
      if ([...tags, ...digests].some((name) => names?.has(name) === true)) continue
      await store.unpin(id, owner)
      released.push({ image: id, owner })
    }
  return released
}
