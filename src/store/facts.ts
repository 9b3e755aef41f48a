import type { Descriptor } from '../oci/oci.ts'

/** What is kept about a layer beside its tree: counts for the listings, and what later work on it needs. */
export type UnpackedFacts = {
  /** Bytes of the uncompressed tar. */
  readonly diffSize: number
  readonly entries: number
  readonly whiteouts: number
  /**
   * The blob it came out of. Given only where these very bytes were fetched and had both digests: what a manifest merely claims would let
   * one image's blob stand for another one's layer.
   */
  readonly blob?: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>
}

/** What a verification found of a layer whose tree is no longer the layer's. */
export type Damage = {
  readonly foundAt: Date
  /** How many differences there were, and the first of them, for a person. */
  readonly differences: number
  readonly first: string
}
