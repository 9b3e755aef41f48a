/** The file of one layer that is kept in part (partials.ts): what comes is appended behind the transfer, and given back to the next one. */
import { type FileHandle, open, rm } from 'node:fs/promises'
import type { Descriptor } from '../oci/oci.ts'
import type { From } from '../registry/registry.ts'
import type { Abortable, ByteSink } from '../task/task.ts'
import type { Log } from './log.ts'

/** Bytes are written, and replayed, so many at a time. */
const PIECE = 1024 * 1024
/** Of a blob's beginning, as much as an answer is compared by. */
const BEGINNING = 1024 * 1024

/** Disposing it keeps what was written. */
export class PartialBlob implements ByteSink, AsyncDisposable {
  readonly #file: FileHandle
  readonly #path: string
  readonly #blob: Descriptor
  readonly #log: Log
  readonly #release: () => void
  /** Bytes in the file. */
  #length: number
  #buffer = Buffer.allocUnsafe(PIECE)
  #filled = 0
  #writing: Promise<void> = Promise.resolve()
  /** Pieces that are being written. */
  #behind = 0
  #isGivenUp = false

  private constructor(file: FileHandle, path: string, length: number, blob: Descriptor, log: Log, release: () => void) {
    this.#file = file
    this.#path = path
    this.#length = length
    this.#blob = blob
    this.#log = log
    this.#release = release
  }

  static async open(path: string, blob: Descriptor, log: Log, release: () => void): Promise<PartialBlob> {
    const file = await open(path, 'a+', 0o600)
    const { size } = await file.stat()
    // More than the blob has is nothing of it.
    if (size > blob.size) await file.truncate(0)
    return new PartialBlob(file, path, size > blob.size ? 0 : size, blob, log, release)
  }

  /** Hands on what is here; undefined where nothing is. */
  async replay(sink: ByteSink, { signal }: Abortable): Promise<From | undefined> {
    if (this.#length === 0) return undefined
    const beginning = Buffer.alloc(Math.min(this.#length, BEGINNING))
    const piece = Buffer.allocUnsafe(PIECE)
    let offset = 0
    while (offset < this.#length) {
      signal.throwIfAborted()
      const { bytesRead } = await this.#file.read(piece, 0, Math.min(PIECE, this.#length - offset), offset)
      if (bytesRead === 0) break
      const chunk = piece.subarray(0, bytesRead)
      if (offset < BEGINNING) chunk.copy(beginning, offset)
      await sink.write(chunk)
      offset += bytesRead
    }
    this.#log.info({ layer: this.#blob.digest, bytes: offset, size: this.#blob.size }, 'this layer goes on where it was left')
    return { offset, beginning }
  }

  /** Keeps the next bytes. Full while the disk is two pieces behind. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    for (let at = 0; at < chunk.length && !this.#isGivenUp; ) {
      const part = chunk.subarray(at, at + PIECE - this.#filled)
      this.#buffer.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled === PIECE) this.#flush()
    }
    return this.#behind < 2 ? undefined : this.#writing
  }

  /** The layer is here: none of this is needed any more. */
  async drop(): Promise<void> {
    this.#isGivenUp = true
    await this.#writing
    await this.#remove()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using _released = { [Symbol.dispose]: this.#release }
    if (!this.#isGivenUp) this.#flush()
    await this.#writing
    try {
      await this.#file.close()
    } catch (error) {
      // What was kept may be less than was written: it is not believed anyway.
      this.#log.warn(
        { layer: this.#blob.digest, path: this.#path, err: error },
        'the file of what came of this layer does not close',
      )
    }
  }

  #flush(): void {
    const piece = this.#buffer.subarray(0, this.#filled)
    if (piece.length === 0) return
    this.#buffer = Buffer.allocUnsafe(PIECE)
    this.#filled = 0
    this.#behind++
    this.#writing = this.#append(this.#writing, piece)
  }

  async #append(before: Promise<void>, piece: Buffer): Promise<void> {
    await before
    try {
      for (let at = 0; at < piece.length && !this.#isGivenUp; ) {
        const { bytesWritten } = await this.#file.write(piece, at)
        at += bytesWritten
      }
    } catch (error) {
      // A full disk, say: the room is more use to the layer itself.
      this.#isGivenUp = true
      this.#log.warn({ layer: this.#blob.digest, err: error }, 'what comes of this layer is no longer kept for a restart')
      await this.#remove()
    } finally {
      this.#behind--
    }
  }

  /** No pull fails for a file that is of no more use to it. */
  async #remove(): Promise<void> {
    try {
      await rm(this.#path, { force: true })
    } catch (error) {
      const what = { layer: this.#blob.digest, path: this.#path, err: error }
      this.#log.warn(what, 'what came of this layer cannot be removed; it goes with those that nobody goes on with')
    }
  }
}
