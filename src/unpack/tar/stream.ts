/** The uncompressed stream as the tar reader wants it: exact small pieces, or whatever is at hand. */
export class TarStream {
  readonly #next: () => Uint8Array | undefined
  readonly #stitched = Buffer.alloc(512)
  #block: Buffer = Buffer.alloc(0)
  /** Where in it the next byte is: a view for what is left, after every piece, would be as much garbage again. */
  #at = 0
  #ended = false
  #position = 0

  /** `next` gives blocks that stay valid until it is called again. */
  constructor(next: () => Uint8Array | undefined) {
    this.#next = next
  }

  /** Bytes that have been read, or passed over. */
  get position(): number {
    return this.#position
  }

  /** Goes on `count` bytes further: what is not at hand is left to `seek`, so that `next` goes on behind it. */
  passOver(count: number, seek: (bytes: number) => void): void {
    const atHand = Math.min(count, this.#left)
    this.#cut(atHand)
    if (count === atHand) return
    seek(count - atHand)
    this.#position += count - atHand
  }

  /** One 512-byte record, valid until the next call; fewer bytes only at the end of the stream. */
  record(): Buffer {
    if (this.#left >= 512) return this.#cut(512)
    let filled = 0
    while (filled < 512 && this.#refill()) {
      const piece = this.#cut(Math.min(512 - filled, this.#left))
      piece.copy(this.#stitched, filled)
      filled += piece.length
    }
    return this.#stitched.subarray(0, filled)
  }

  /** At least one and at most `max` bytes, valid until the next call; undefined at the end of the stream. */
  some(max: number): Buffer | undefined {
    return this.#refill() ? this.#cut(Math.min(max, this.#left)) : undefined
  }

  get #left(): number {
    return this.#block.length - this.#at
  }

  #cut(length: number): Buffer {
    const piece = this.#block.subarray(this.#at, this.#at + length)
    this.#at += length
    this.#position += length
    return piece
  }

  #refill(): boolean {
    while (this.#left === 0 && !this.#ended) {
      const block = this.#next()
      if (block === undefined) this.#ended = true
      else {
        this.#block = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
        this.#at = 0
      }
    }
    return this.#left > 0
  }
}
