/** Pins by command. */
import { fail } from '../failure/failure.ts'
import type { Digest } from '../oci/digest.ts'
import { findImage } from '../store/lookup.ts'
import { MAX_OWNER_BYTES, MAX_REASON_BYTES, type Pin, RULE_OWNER, standing } from '../store/pins.ts'
import type { Store, StoredImage } from '../store/store.ts'

/** Beyond some more of them there are no dates. */
const MAX_TTL_MS = 100 * 366 * 24 * 3_600_000

export type PinWish = { readonly owner: string; readonly reason: string; readonly ttlMs?: number }
export type Pinned = { readonly imageId: Digest; readonly pins: readonly Pin[] }
/** `left` are pins that stand all the same: others', and the configuration's. */
export type Unpinned = Pinned & { readonly left: readonly Pin[] }

type Here = Pick<Store, 'find' | 'pin' | 'unpin'>

/** Throws invalid-reference, invalid-argument (also where it has as many as may be), image-unknown, no-space, system. */
export async function pinImage(store: Here, name: string, { owner, reason, ttlMs }: PinWish): Promise<Pinned> {
  check('owner', owner, MAX_OWNER_BYTES)
  check('reason', reason, MAX_REASON_BYTES)
  if (owner === '' || owner === RULE_OWNER)
    fail({
      kind: 'invalid-argument',
      what: 'owner',
      reason: 'want a name of your own; what the configuration pins is its to say',
    })
  if (ttlMs !== undefined && !(ttlMs > 0 && ttlMs <= MAX_TTL_MS))
    fail({ kind: 'invalid-argument', what: 'ttl', reason: 'want a time above zero, of a hundred years at most' })
  const image = await found(store, name)
  const since = new Date()
  const pin = { owner, reason, since, ...(ttlMs === undefined ? {} : { until: new Date(since.getTime() + ttlMs) }) }
  if (!(await store.pin(image.id, pin))) unknown(name)
  return { imageId: image.id, pins: [pin] }
}

/** One owner's pin, or everybody's; that there was none is no error. Throws invalid-reference, invalid-argument, image-unknown, no-space, system. */
export async function unpinImage(store: Here, name: string, owner: string | undefined): Promise<Unpinned> {
  if (owner === RULE_OWNER)
    fail({
      kind: 'invalid-argument',
      what: 'owner',
      reason: 'what the configuration pins is its to say; change pins: in its file, and restart the daemon',
    })
  const { id } = await found(store, name)
  const pins = await store.unpin(id, owner)
  return { imageId: id, pins, left: standing((await store.find(id))?.pins ?? []) }
}

function check(what: string, text: string, most: number): void {
  if (Buffer.byteLength(text) > most) fail({ kind: 'invalid-argument', what, reason: `it is longer than ${most} bytes` })
  if (/\p{Cc}/u.test(text)) fail({ kind: 'invalid-argument', what, reason: 'want text without control characters' })
}

const found = async (store: Here, name: string): Promise<StoredImage> => (await findImage(store, name))?.image ?? unknown(name)

const unknown = (name: string): never => fail({ kind: 'image-unknown', names: [name] })
