/** What the pool and its extractors say to each other, a line of JSON each; an empty line says that the ring has room again. */
import type { Failure } from '../failure/failure.ts'
import type { DiffId, Digest } from '../oci/digest.ts'
import type { UnpackedLayer, UnpackLimits, Verdict } from './unpack.ts'

/** Where an extractor finds the socket to its parent. */
export const CONTROL_FD = 3
/** And the ring its bytes come by. */
export const RING_FD = 4

/** What an extractor is asked to do. With a local copy, or a tree to verify, come its directory and its tar-split file, open. */
export type Job = UnpackOrder | VerifyOrder

export type UnpackOrder = {
  readonly dir: string
  readonly diffId: DiffId
  readonly limits: UnpackLimits
  readonly writesBack: boolean
  readonly source:
    | { readonly kind: 'blob'; readonly digest: Digest; readonly size: number; readonly host: string }
    | { readonly kind: 'local'; readonly path: string }
}

export type VerifyOrder = {
  readonly dir: string
  readonly diffId: DiffId
  readonly limits: UnpackLimits
  readonly verify: { readonly diffSize: number; readonly lowers: readonly string[] }
}

export type Answer = (
  | { readonly ok: true; readonly layer: UnpackedLayer }
  | { readonly ok: true; readonly verdict: Verdict }
  | { readonly ok: false; readonly failure: Failure; readonly stack?: string | undefined }
) & {
  /** It takes no other job: a thread of it was cut short, or does not end. */
  readonly isLast?: true
}

/** The first thing an extractor says: which of its rights it could not give up. */
export type Greeting = { readonly refused: readonly string[] }
