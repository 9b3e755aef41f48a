/**
 * Whether the layers that are here are still what was pulled: every tree is compared with its layer, and what is found is remembered, so that
 * the next pull of the image brings a damaged layer again. Nothing else is changed, unless a repair is asked for:
 *
 *     each layer once → unpack's verifier → sound, or marked as damaged
 *     repair: the damaged layers' images, pulled again by digest → those layers once more
 *
 * In a runtime's store nothing is marked, and a layer cannot be replaced under those that stand on it: a repair takes its images away first.
 */
import type { DiffId, LayerId } from '../oci/digest.ts'
import type { Platform } from '../oci/oci.ts'
import type { StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { Difference } from '../unpack/unpack.ts'

/** `unverifiable`: nothing is kept that it could be verified by. */
export const OUTCOMES = ['sound', 'damaged', 'unknown', 'unverifiable'] as const
export const DIGESTS = ['equal', 'differs', 'unknowable'] as const

/** What became of one layer. */
export type LayerVerdict = {
  readonly outcome: (typeof OUTCOMES)[number]
  /** The first differences; `total` counts all. */
  readonly differences: readonly Difference[]
  readonly total: number
  /** Whether the tar put together again has the diffID; `unknowable` where an entry of it took another's place. */
  readonly digest: (typeof DIGESTS)[number]
  /** Why nothing is known, or can be. */
  readonly reason?: string
  readonly ms: number
}

/** `bytes` are 0 where a runtime unpacked it; `images` are the names of the images it is part of. */
export type LayerToVerify = {
  readonly layerId: LayerId
  readonly diffId: DiffId
  readonly bytes: number
  readonly images: readonly string[]
}

/** `layer` is the place in `planned`. A repaired layer has a second verdict, which is the one that counts. */
export type VerifyEvent =
  | { readonly type: 'planned'; readonly layers: readonly LayerToVerify[] }
  | { readonly type: 'progress'; readonly layer: number; readonly bytes: number }
  | { readonly type: 'layer'; readonly layer: number; readonly verdict: LayerVerdict }
  | { readonly type: 'repairing'; readonly image: string }
  | { readonly type: 'repair-failed'; readonly image: string; readonly reason: string }
  | { readonly type: 'done'; readonly ms: number }

/** What it takes to pull an image again. */
export type ImageToPull = Pick<StoredImage, 'id' | 'tags' | 'digests'> & { readonly platform: Platform }

/**
 * Pulls an image again by one of its digest names. `check` asks the registry for all that will have to come once the layers from `from` up
 * are gone, and moves nothing. Both throw what a pull does.
 */
export type PullAgain = {
  check(image: ImageToPull, digestName: string, options: Abortable & { readonly from: number }): Promise<void>
  pull(image: ImageToPull, digestName: string, options: Abortable): Promise<void>
}

export type VerifyRequest = {
  /** As a person names them; none for all that are here. */
  readonly images: readonly string[]
  readonly repair?: PullAgain
}

export interface LayerVerifier {
  /** `onEvent` must not throw. Throws image-unknown, invalid-reference, not-permitted, cancelled. */
  verify(request: VerifyRequest, options: Abortable & { readonly onEvent: (event: VerifyEvent) => void }): Promise<void>
  /** Pulls what a repair took away before this process began, or could not bring again; logs what became of each. Throws cancelled, runtime-down. */
  finishRepairs(again: Pick<PullAgain, 'pull'>, options: Abortable): Promise<void>
}
