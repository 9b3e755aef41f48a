/**
 * Decompression, synchronous and streaming, chosen by the stream's first bytes as containerd does: a layer's media type is often wrong,
 * and its diffID decides in the end.
 */

/** Memory for the next block, as large as `BLOCK`; the same again until that block is out. */
export type Memory = () => Uint8Array

/** Small enough to stay in the second-level cache. */
export const BLOCK = 2 ** 18

/** One block's, for whoever is through with it before the next call. */
export function oneBlock(): Memory {
  const block = new Uint8Array(new ArrayBuffer(BLOCK))
  return () => block
}

/** Gives the uncompressed stream block by block; a block is valid until the next call. */
export interface Inflater extends Disposable {
  readonly codec: 'gzip' | 'zstd' | 'none'
  next(): Uint8Array | undefined
}

/** A stream that breaks its format's rules. */
export class CorruptStream extends Error {}
