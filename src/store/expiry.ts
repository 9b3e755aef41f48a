/** Images that were pulled ahead may go by themselves after a time, where a runtime's store does that. */
import { fail } from '../failure/failure.ts'
import type { Digest } from '../oci/digest.ts'

/** When records of an image go: all of it with the last one, or some of its names, and the rest stays. */
export type Expiry = { readonly at: Date; readonly of: 'image' | 'some names' }

/** An image that may have one. */
type Timed = { readonly expiry?: Expiry }

/** For a store whose runtime removes images once their time is over. */
export interface Expiries {
  /** Before a pull ahead: what is here for good now stays so. Throws runtime, runtime-down. */
  begin(): Promise<Expiring>
  /**
   * Somebody wants the image for good: takes its time away, and asks the runtime nothing where it has none. False where it has gone by itself
   * since it was found: it is to be pulled again. Throws runtime, runtime-down.
   */
  stays(image: Timed & { readonly id: Digest }): Promise<boolean>
}

/** A pull ahead that is under way, until it is disposed. */
export interface Expiring extends Disposable {
  /**
   * Once it is pulled: the image may go then, or later, if it was to go later before. Resolves to when that is; `stays` where it was here for
   * good, is pinned, or somebody has wanted it since; `gone` where it has gone by itself since it was found. Throws runtime, runtime-down.
   */
  give(id: Digest, at: Date): Promise<Date | 'stays' | 'gone'>
}

/** With less it would be gone before a pod could want it. */
export const MIN_EXPIRY_MS = 60_000
/** Beyond some more of them there are no dates. */
export const MAX_EXPIRY_MS = 100 * 366 * 24 * 3_600_000

/** When the image goes as a whole; undefined where it stays. */
export const expiresAt = ({ expiry }: Timed): Date | undefined => (expiry?.of === 'image' ? expiry.at : undefined)

/** Throws invalid-argument, before anything is pulled, for a time that is none, and for a store in which no image goes by its time. */
export function expiriesFor({ expiries }: { readonly expiries?: Expiries }, ms: number): Expiries {
  if (!(ms >= MIN_EXPIRY_MS && ms <= MAX_EXPIRY_MS))
    fail({
      kind: 'invalid-argument',
      what: 'expires',
      reason: 'want a time of a minute at least, and of a hundred years at most',
    })
  return expiries ?? fail(noExpiries)
}

/** What a store of our own says to it, CRI-O's additional one too. */
export const noExpiries = {
  kind: 'invalid-argument',
  what: 'expires',
  reason:
    'a single image goes by its time in containerd alone; pull it without one, and let gc.maximumAge and the watermarks decide what goes here (docs/collection.md)',
} as const
