/** Compressed bytes as a decoder wants them: what is at hand without a copy, single bytes across chunks, a look ahead. */
export class Input {
  readonly #next: () => Uint8Array | undefined
  /** As it came; of it, `#rest` is unread. */
  #chunk: Uint8Array = new Uint8Array(0)
  #rest = this.#chunk
  #ended = false

  /** `next` gives chunks that stay valid until it is called again. */
  constructor(next: () => Uint8Array | undefined) {
    this.#next = next
  }

  /** Bytes at hand, at least one unless the stream has ended. They stay unread until `skip`. */
  bytes(): Uint8Array {
    while (this.#rest.length === 0 && !this.#ended) {
      const chunk = this.#next()
      if (chunk === undefined) this.#ended = true
      else this.#hold(chunk)
    }
    return this.#rest
  }

  /** Marks the first `count` of `bytes()` as read. */
  skip(count: number): void {
    this.#rest = this.#rest.subarray(count)
  }

  /** All bytes at hand, read. */
  take(): Uint8Array | undefined {
    const bytes = this.bytes()
    this.#rest = bytes.subarray(bytes.length)
    return bytes.length === 0 ? undefined : bytes
  }

  /** One byte, or undefined at the end. */
  byte(): number | undefined {
    const value = this.bytes()[0]
    if (value !== undefined) this.skip(1)
    return value
  }

  /** Puts back in front what was read last, up to a few bytes. A stream of tiny members does so for each: what is at hand is not copied for it. */
  unread(bytes: Uint8Array): void {
    const from = this.#chunk.length - this.#rest.length - bytes.length
    if (from >= 0) {
      this.#rest = this.#chunk.subarray(from)
      return
    }
    const joined = new Uint8Array(bytes.length + this.#rest.length)
    joined.set(bytes)
    joined.set(this.#rest, bytes.length)
    this.#hold(joined)
  }

  #hold(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#rest = chunk
  }

  /** The first bytes without reading them; fewer than `count` only at the end. */
  peek(count: number): Uint8Array {
    const bytes = this.bytes()
    if (bytes.length >= count) return bytes.subarray(0, count)
    const seen: number[] = []
    for (let value = this.byte(); value !== undefined; value = this.byte()) {
      seen.push(value)
      if (seen.length === count) break
    }
    this.unread(Uint8Array.from(seen))
    return Uint8Array.from(seen)
  }
}
