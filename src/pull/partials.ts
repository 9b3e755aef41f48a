/**
 * What came of large layers whose transfer has not ended, kept on disk beside the one pass: a daemon that starts again replays it and
 * asks for the rest. Nothing here is believed: replayed bytes go through the same digests as all others, and where those do not agree the
 * file goes and the layer is fetched anew. So nothing is synced either.
 *
 *     partials/<hex of the blob's digest>     0600, as long as what has come of it
 *
 * A layer that is complete takes its file with it. Files nobody went on with for a day go, and the oldest ones where room is needed.
 */
import { type FileHandle, mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, hexOf } from '../oci/digest.ts'
import type { Descriptor } from '../oci/oci.ts'
import type { From } from '../registry/registry.ts'
import type { Abortable, ByteSink } from '../task/task.ts'
import type { Log } from './log.ts'

export type PartialsOptions = {
  /** Made where it is not there. */
  readonly dir: string
  readonly log: Log
  /** Smaller layers are sooner fetched again. */
  readonly minSize?: number
  readonly maxAgeMs?: number
  /** Of all files; by default a quarter of what is free, these files included. */
  readonly maxBytes?: number
}

const MIN_SIZE = 16 * 1024 * 1024
const MAX_AGE_MS = 24 * 3_600_000
/** Bytes are written, and replayed, so many at a time. */
const PIECE = 1024 * 1024
/** Of a blob's beginning, as much as an answer is compared by. */
const BEGINNING = 1024 * 1024

type Kept = { readonly name: string; readonly size: number; readonly usedMs: number }

export class Partials {
  readonly #options: PartialsOptions
  /** By name, and how large each may become. */
  readonly #inUse = new Map<string, number>()
  /** Names of what pulls are about to go on with. */
  readonly #expected = new Set<{ readonly names: ReadonlySet<string> }>()

  constructor(options: PartialsOptions) {
    this.#options = options
  }

  /** What is kept of a blob, to go on with. Undefined where nothing is kept of it: it is small, in use, or there is no room. */
  async open(blob: Descriptor): Promise<PartialBlob | undefined> {
    const { dir, log, minSize = MIN_SIZE } = this.#options
    const name = hexOf(blob.digest)
    if (blob.size < minSize || this.#inUse.has(name)) return undefined
    this.#inUse.set(name, blob.size)
    const release = (): void => void this.#inUse.delete(name)
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      if (await this.#makeRoom()) return await PartialBlob.open(join(dir, name), blob, log, release)
      log.info({ layer: blob.digest, dir }, 'there is no room to keep what comes of this layer for a restart')
    } catch (error) {
      // The layer can be pulled without.
      log.warn({ layer: blob.digest, dir, err: error }, 'what comes of this layer cannot be kept for a restart')
    }
    release()
    return undefined
  }

  /** Until it is disposed, what is kept of these goes last. */
  expect(digests: readonly Digest[]): Disposable {
    const expectation = { names: new Set(digests.map(hexOf)) }
    this.#expected.add(expectation)
    return { [Symbol.dispose]: () => void this.#expected.delete(expectation) }
  }

  /** Throws away what is kept of a blob. */
  async forget(digest: Digest): Promise<void> {
    await rm(join(this.#options.dir, hexOf(digest)), { force: true })
  }

  /** Removes what nobody went on with. */
  async collect(): Promise<void> {
    await mkdir(this.#options.dir, { recursive: true, mode: 0o700 })
    await this.#makeRoom()
  }

  /** What those that nobody goes on with take of the file system that `on` is on. */
  async idleBytes(on: string): Promise<number> {
    return sum((await this.#idleOn(on)).map(({ size }) => size))
  }

  /** A pull wants so many bytes there: the oldest go, those that are expected last, until they are had or nothing idle is left. */
  async giveWay(bytes: number, on: string): Promise<void> {
    const { dir, log } = this.#options
    let freed = 0
    for (const { name, size } of await this.#idleOn(on)) {
      if (freed >= bytes) break
      // A pull may have gone on with it meanwhile.
      if (this.#inUse.has(name)) continue
      await rm(join(dir, name), { force: true })
      freed += size
      log.info({ blob: name, bytes: size }, 'what came of a layer goes to make room for a pull')
    }
  }

  async #idleOn(on: string): Promise<readonly Kept[]> {
    const all = (await this.#kept()).filter(({ name }) => !this.#inUse.has(name)).toSorted((a, b) => a.usedMs - b.usedMs)
    const isExpected = ({ name }: Kept): boolean => [...this.#expected].some(({ names }) => names.has(name))
    const idle = [...all.filter((kept) => !isExpected(kept)), ...all.filter(isExpected)]
    if (idle.length === 0) return idle
    const [here, there] = await Promise.all([stat(this.#options.dir), stat(on)])
    return here.dev === there.dev ? idle : []
  }

  /** True where those in use fit in, however large they become. */
  async #makeRoom(): Promise<boolean> {
    const { dir, maxAgeMs = MAX_AGE_MS } = this.#options
    const kept = await this.#kept()
    const limit = this.#options.maxBytes ?? (await quarterOfFree(dir, sum(kept.map(({ size }) => size))))
    const idle = kept.filter(({ name }) => !this.#inUse.has(name)).toSorted((a, b) => a.usedMs - b.usedMs)
    const needed = sum([...this.#inUse.values()])
    let total = sum(idle.map(({ size }) => size)) + needed
    for (const { name, size, usedMs } of idle) {
      const isStale = usedMs < Date.now() - maxAgeMs
      // What does not fit in alone costs nobody his.
      if (!isStale && (total <= limit || needed > limit)) continue
      await rm(join(dir, name), { force: true })
      total -= size
    }
    return total <= limit
  }

  async #kept(): Promise<Kept[]> {
    const { dir } = this.#options
    const kept: Kept[] = []
    for (const name of await readdir(dir).catch(ifAbsent([]))) {
      const found = await stat(join(dir, name)).catch(ifAbsent(undefined))
      if (found?.isFile() === true) kept.push({ name, size: found.size, usedMs: found.mtimeMs })
    }
    return kept
  }
}

/** One blob's file. Disposing it keeps what was written. */
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

  /** The layer is here, or these are not its bytes. */
  async drop(): Promise<void> {
    this.#isGivenUp = true
    await this.#writing
    await rm(this.#path, { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isGivenUp) this.#flush()
    await this.#writing
    await this.#file.close()
    this.#release()
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
      await rm(this.#path, { force: true })
    } finally {
      this.#behind--
    }
  }
}

const sum = (sizes: readonly number[]): number => sizes.reduce((all, size) => all + size, 0)

async function quarterOfFree(dir: string, kept: number): Promise<number> {
  const { bavail, bsize } = await statfs(dir)
  return (bavail * bsize + kept) / 4
}

const ifAbsent =
  <T>(value: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT') return value
    throw error
  }
