/**
 * Raw deflate (RFC 1951) through libisal where the machine has it, 1.5 times as fast, else through the zlib inside Node's own binary.
 * node:zlib itself has no synchronous streaming. Both engines give the same bytes and errors.
 */
import { IsalEngine, isalLibrary } from './isal.ts'
import { ZlibEngine } from './zlib.ts'

/** What one call did. `out` is valid until the next call; `unread` are bytes taken in that belong to what follows the deflate stream. */
export type InflateStep = {
  readonly consumed: number
  readonly out: Uint8Array
  readonly done: boolean
  readonly unread: Uint8Array
}

export interface DeflateEngine extends Disposable {
  /** Starts a new stream. */
  reset(): void
  inflate(bytes: Uint8Array): InflateStep
  /** CRC-32 and count of the bytes given out since `reset`. */
  crc32(): number
  readonly size: number
}

export function createDeflateEngine(blockSize: number): DeflateEngine {
  const isal = isalLibrary()
  return isal === undefined ? new ZlibEngine(blockSize) : new IsalEngine(blockSize, isal)
}
