/** What a raw deflate (RFC 1951) decoder does for the gzip reader around it. */

/** What one call did. `out` is the part of the memory that was filled; `unread` are bytes taken in that belong to what follows the deflate stream. */
export type InflateStep = {
  readonly consumed: number
  readonly out: Uint8Array
  readonly done: boolean
  readonly unread: Uint8Array
}

export interface DeflateEngine extends Disposable {
  /** Starts a new stream. */
  reset(): void
  inflate(bytes: Uint8Array, memory: Uint8Array): InflateStep
  /** CRC-32 and count of the bytes given out since `reset`. */
  crc32(): number
  readonly size: number
}
