/**
 * What came of large layers whose transfer has not ended, kept on disk beside the one pass: a daemon that starts again replays it and
 * asks for the rest. Nothing here is believed: replayed bytes go through the same digests as all others, and where those do not agree the
 * file goes and the layer is fetched anew. So nothing is synced either.
 *
 *     partials/<hex of the blob's digest>     0600, as long as what has come of it
 *
 * A layer that is complete takes its file with it. Files nobody went on with for a day go, and the oldest ones where room is needed.
 */
import { mkdir, readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, hexOf } from '../oci/digest.ts'
import type { Descriptor } from '../oci/oci.ts'
import type { Log } from './log.ts'
import { PartialBlob } from './partial-blob.ts'

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
