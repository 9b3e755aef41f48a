/** What has passed: its bytes, its SHA-256, and the time of both ends. The clock is read three times a chunk; most are 64 KiB and more. */
import { createHash } from 'node:crypto'
import { type Digest, digestOfHex } from '../oci/digest.ts'

/** Gives chunks that stay valid until the next call; undefined at the end. */
export type Chunks = () => Uint8Array | undefined

export class Tally {
  readonly #hash = createHash('sha256')
  #digest: Digest | undefined
  readonly next: Chunks
  bytes = 0
  /** In milliseconds: until the source gave a chunk, and hashing. */
  sourceMs = 0
  hashMs = 0

  constructor(source: Chunks) {
    this.next = () => {
      const asked = performance.now()
      const chunk = source()
      const given = performance.now()
      this.sourceMs += given - asked
      if (chunk !== undefined) {
        this.#hash.update(chunk)
        this.hashMs += performance.now() - given
        this.bytes += chunk.length
      }
      return chunk
    }
  }

  /** The digest of everything that passed; nothing may pass after. */
  digest(): Digest {
    this.#digest ??= digestOfHex(this.#hash.digest('hex'))
    return this.#digest
  }
}
