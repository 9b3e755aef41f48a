/**
 * A layer's tar, block by block, and what is known of the bytes it came from:
 *
 *     chunks → sha256 = blob digest → inflate → sha256 = diffID → blocks
 *
 * on the thread that asks for them (here), or on one of its own (inflating.ts).
 */
import type { Digest } from '../oci/digest.ts'
import { createInflater } from './inflate/create.ts'
import type { Inflater } from './inflate/inflate.ts'
import { Input } from './inflate/input.ts'
import { type Chunks, Tally } from './tally.ts'

/** What a blob was. */
export type BlobFacts = { readonly bytes: number; readonly digest: Digest }

/** Milliseconds of whoever asks for blocks: until bytes had come, until they were inflated, and hashing. */
export type BlockTimes = { readonly waitMs: number; readonly inflateMs: number; readonly hashMs: number }

export interface TarBlocks extends AsyncDisposable {
  /** The next one, valid until the call after; undefined at the end. Throws CorruptStream. */
  next(): Uint8Array | undefined
  /** Bytes of the tar that were given out, and bytes of the blob that these took. */
  readonly bytes: number
  readonly read: number
  /** SHA-256 of the tar, once all of it was given out. */
  diffId(): Digest
  /** The blob, once all of the tar was given out. */
  blob(): BlobFacts
  /** The same after a failure: reads what is left of it first; undefined where that is more than is worth reading. */
  rest(): BlobFacts | undefined
  readonly times: BlockTimes
}

/** After a broken stream, at most this much more is read to learn whether the blob itself is damaged. */
const WORTH_HASHING = 2 ** 28

/** Reads what is left of a blob of `size` bytes, where that is not too much. */
export function readRest(blob: Tally, size: number): boolean {
  if (size - blob.bytes > WORTH_HASHING) return false
  while (blob.next() !== undefined);
  return true
}

/** `size` is the blob's; `waitedMs` says for how long its source has had no bytes, so far. */
export const blocksOf = (chunks: Chunks, size: number, waitedMs: () => number = () => 0): TarBlocks =>
  new BlocksHere(chunks, size, waitedMs)

class BlocksHere implements TarBlocks {
  readonly #blob: Tally
  readonly #size: number
  readonly #waitedMs: () => number
  #inflater: Inflater | undefined
  /** The blob's own where it is not compressed: then the tar is the blob, and is hashed once. */
  #tar: Tally
  #choosingMs = 0

  constructor(chunks: Chunks, size: number, waitedMs: () => number) {
    this.#size = size
    this.#waitedMs = waitedMs
    this.#blob = new Tally(chunks)
    this.#tar = this.#blob
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#inflater?.[Symbol.dispose]()
  }

  next(): Uint8Array | undefined {
    const inflater = this.#inflater ?? this.#choose()
    return this.#tar === this.#blob ? inflater.next() : this.#tar.next()
  }

  get bytes(): number {
    return this.#tar.bytes
  }

  get read(): number {
    return this.#blob.bytes
  }

  diffId(): Digest {
    return this.#tar.digest()
  }

  blob(): BlobFacts {
    return { bytes: this.#blob.bytes, digest: this.#blob.digest() }
  }

  rest(): BlobFacts | undefined {
    return readRest(this.#blob, this.#size) ? this.blob() : undefined
  }

  get times(): BlockTimes {
    const [blob, tar] = [this.#blob, this.#tar]
    const waitMs = this.#waitedMs()
    if (tar === blob) return { waitMs, inflateMs: 0, hashMs: blob.hashMs }
    // The inflater asks for the blob's bytes itself: those are waited for and hashed within its time.
    const inflateMs = Math.max(0, tar.sourceMs - (blob.sourceMs + blob.hashMs - this.#choosingMs))
    return { waitMs, inflateMs, hashMs: blob.hashMs + tar.hashMs }
  }

  #choose(): Inflater {
    const inflater = createInflater(new Input(this.#blob.next))
    this.#inflater = inflater
    // Its first bytes say which inflater it takes: they were waited for by now, in nobody's time.
    this.#choosingMs = this.#blob.sourceMs + this.#blob.hashMs
    if (inflater.codec !== 'none') this.#tar = new Tally(() => inflater.next())
    return inflater
  }
}
