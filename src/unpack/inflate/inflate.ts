/**
 * Decompression, synchronous and streaming, chosen by the stream's first bytes as containerd does: a layer's media type is often wrong,
 * and its diffID decides in the end.
 */

/** Gives the uncompressed stream block by block; a block is valid until the next call. */
export interface Inflater extends Disposable {
  readonly codec: 'gzip' | 'zstd' | 'none'
  next(): Uint8Array | undefined
}

/** A stream that breaks its format's rules. */
export class CorruptStream extends Error {}
