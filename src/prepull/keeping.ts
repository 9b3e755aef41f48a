/** How an image that is declared stays: by a pin of its list's, or, in a runtime that removes images by their time, by a time that is renewed. */
import type { PullRequest } from '../pull/pull.ts'
import type { Credentials } from '../registry/registry.ts'
import type { Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import { withLogins } from './logins.ts'
import type { DeclaredImage, ImageList, Means, Place } from './prepull.ts'
import { OWNER_PREFIX, ownerOf } from './prepull.ts'

/** `isProtected`: pinned. `isPulled`: its registry was asked. */
export type Kept = { readonly id: string; readonly isProtected: boolean; readonly isPulled: boolean }

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
  const stayMs = image.pinMs ?? STAY_MS
  if (store.expiries !== undefined && !mustAsk) {
    const here = await store.find(image.name)
    // Its time is far, or it has none: giving it another is a write to each of its records.
    const left = here?.expiry === undefined ? Number.POSITIVE_INFINITY : here.expiry.at.getTime() - Date.now()
    if (here !== undefined && left > stayMs / 2) return { id: here.id, isProtected: false, isPulled: false }
  }
  using ahead = await store.expiries?.begin()
  for (let isLast = false; ; isLast = true) {
    const here = mustAsk ? undefined : await store.find(image.name)
    const found = here ?? (await pullAhead(place, means, list, image, options))
    const isPulled = here === undefined
    if (ahead === undefined) {
      await pinFor(store, list, image, found)
      return { id: found.id, isProtected: true, isPulled }
    }
    const until = await ahead.give(found.id, new Date(Date.now() + stayMs))
    // One whose time was over has gone while it was found; the next look finds nothing of it.
    if (until !== 'gone' || isLast) return { id: found.id, isProtected: false, isPulled }
  }
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

/** Only where half of its time is over: each one is a transaction on disk. */
async function pinFor(
  store: Place['store'],
  list: ImageList,
  { pinMs }: DeclaredImage,
  { id, pins }: StoredImage,
): Promise<void> {
  const owner = ownerOf(list.name)
  const now = new Date()
  const known = pins.find((pin) => pin.owner === owner)
  const left = known?.until === undefined ? undefined : known.until.getTime() - now.getTime()
  const isGood =
    known !== undefined && (pinMs === undefined ? left === undefined : left !== undefined && left > pinMs / 2 && left <= pinMs)
  if (isGood) return
  const until = pinMs === undefined ? {} : { until: new Date(now.getTime() + pinMs) }
  await store.pin(id, { owner, reason: `declared by the image list ${list.name}`, since: now, ...until })
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
