/**
 * Images that are to be here before a pod wants them: lists declare them, and the same puller that kubelet's calls go to brings them.
 *
 *     lists.ts       the files of a directory, the last good state of each, told anew when one changes
 *     backoff.ts     when to try again
 *     logins.ts      who to log in as
 *     check.ts       whether what is declared can be had, without a node
 *     keeping.ts     how one stays here: its pin, or its time
 *     entry.ts       where one of them stands
 *     prepuller.ts   what is declared, against what is here: pull, pin, refresh, try again; let go of what is declared no more
 *
 * A pull that a pod waits for goes before any of these.
 */
import type { Digest } from '../oci/digest.ts'
import type { Puller } from '../pull/pull.ts'
import type { Reference } from '../reference/reference.ts'
import type { Credentials, Repository } from '../registry/registry.ts'
import type { Store } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'

export type DeclaredImage = {
  /** Normal form. */
  readonly name: string
  readonly reference: Reference
  /** `IfNotPresent`: pulled once. `Always`: the registry is asked again, each `refreshMs`, and the image pulled where the tag has moved. */
  readonly policy: 'IfNotPresent' | 'Always'
  readonly refreshMs?: number
  /** How long one pull of it may take. */
  readonly deadlineMs?: number
  /** The name of an archive that it is taken from, in place of its registry. */
  readonly archive?: string
  /** How long a pin outlasts the last time it was renewed; absent: for good, while the image is declared. */
  readonly pinMs?: number
}

export type ImageList = {
  readonly name: string
  /** Lists of a higher one first. */
  readonly priority: number
  /** Pull secrets, by name. */
  readonly secrets: readonly string[]
  readonly images: readonly DeclaredImage[]
}

/** An archive that is open, as a pull takes an image from it. */
export type OpenedSource = AsyncDisposable & { readonly repository: Repository }

/** What is asked for an image that is not here. */
export type Means = {
  /** What a list's pull secrets say of an image, the likelier first; empty where they say nothing. */
  readonly loginsFor: (list: ImageList, image: DeclaredImage, options: Abortable) => Promise<readonly Credentials[]>
  /** Opens an archive, for an image that is to come from it. Throws what opening one does, and invalid-argument where there are none. */
  readonly openArchive: (name: string, image: DeclaredImage, options: Abortable) => Promise<OpenedSource>
}

/**
 * Where images are pulled to. `confirm` waits until the runtime knows one; `showsPin` asks it whether kubelet hears of a pin. Both are absent where
 * the store answers kubelet itself. They throw runtime, runtime-down, cancelled.
 */
export type Place = {
  readonly puller: Pick<Puller, 'pull' | 'inFlight' | 'watch'>
  readonly store: Pick<Store, 'overlayDir' | 'find' | 'images' | 'pin' | 'unpin' | 'expiries'>
  readonly confirm?: (image: Digest, options: Abortable) => Promise<void>
  readonly showsPin?: ShowsPin
}

/** `isNew`: it was pinned a moment ago, which the runtime may not have taken in. */
export type ShowsPin = (image: Digest, options: Abortable & { readonly isNew: boolean }) => Promise<boolean>

/** Owners of the pins that lists hold: `prepull:LIST`. */
export const OWNER_PREFIX = 'prepull:'
export const ownerOf = (list: string): string => `${OWNER_PREFIX}${list}`
