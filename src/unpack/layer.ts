/**
 * One layer, from its bytes to a tree, in one pass. Runs in an extractor, synchronously:
 *
 *     chunks → sha256 = blob digest → inflate → sha256 = diffID → tar → tree + tar-split
 */
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { type Failure, fail } from '../failure/failure.ts'
import { type DiffId, type Digest, digestOfHex } from '../oci/digest.ts'
import { Budget } from './budget.ts'
import { createInflater } from './inflate/create.ts'
import { CorruptStream } from './inflate/inflate.ts'
import { Input } from './inflate/input.ts'
import { BadTar } from './tar/entry.ts'
import { TarReader } from './tar/reader.ts'
import { TarSplitWriter } from './tar/split.ts'
import { TarStream } from './tar/stream.ts'
import { printable } from './tree/refusal.ts'
import { TreeWriter } from './tree/writer.ts'
import type { UnpackedLayer, UnpackLimits } from './unpack.ts'

/** Gives chunks that stay valid until the next call; undefined at the end. */
export type Chunks = () => Uint8Array | undefined

/** A blob from a registry, or tar bytes put together from a local copy. */
export type LayerBytes =
  | { readonly kind: 'blob'; readonly chunks: Chunks; readonly digest: Digest; readonly size: number; readonly host: string }
  | { readonly kind: 'tar'; readonly chunks: Chunks; readonly path: string }

export type LayerTask = {
  readonly dir: string
  readonly diffId: DiffId
  readonly bytes: LayerBytes
  readonly limits: UnpackLimits
  /** Told how many bytes of the tar there have been. */
  readonly progress: (bytes: number) => void
}

export type LayerOutcome = Omit<UnpackedLayer, 'waitMs' | 'workMs'>

const MAX_WARNINGS = 20
const PATHS_AT_ONCE = 1024
/** After a broken stream, at most this much more is read to learn whether the blob itself is damaged. */
const WORTH_HASHING = 2 ** 28

/** Unpacks one layer; throws WindlassError. */
export function unpackLayer(task: LayerTask): LayerOutcome {
  const blob = new Tally(task.bytes.chunks)
  try {
    return unpack(task, blob)
  } catch (error) {
    if (error instanceof BadTar || error instanceof CorruptStream) {
      checkBlob(task.bytes, blob, true)
      fail(badLayer(task, error), error)
    }
    throw error
  }
}

function unpack({ dir, diffId, bytes, limits, progress }: LayerTask, blob: Tally): LayerOutcome {
  const warnings = new Set<string>()
  const warn = (text: string): void => void (warnings.size < MAX_WARNINGS && warnings.add(text))
  const budget = new Budget(limits, {
    dir,
    digest: nameOf(bytes, diffId),
    blobSize: bytes.kind === 'blob' ? bytes.size : undefined,
  })
  using inflater = createInflater(new Input(blob.next))
  // Its first bytes say which inflater it takes: they were waited for by now, in nobody's time.
  const choosingMs = blob.sourceMs + blob.hashMs
  const tar = new Tally(() => inflater.next())
  const limited = (): Uint8Array | undefined => {
    const block = tar.next()
    budget.unpacked(tar.bytes, blob.bytes)
    progress(tar.bytes)
    return block
  }
  mkdirSync(`${dir}/diff`, { mode: 0o755 })
  using tree = new TreeWriter(`${dir}/diff`, budget, warn)
  using splitFile = openFile(`${dir}/tar-split.gz`)
  const split = new TarSplitWriter(splitFile.fd)
  const reader = new TarReader(new TarStream(limited), split, (size) => budget.metadata(size))

  let entries = 0
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
    entries++
    budget.entry()
    split.file(entry, tree.add(entry, reader))
  }
  reader.drain()
  split.end()
  writeImplied(dir, tree.finish())

  checkBlob(bytes, blob, false)
  checkDiffId(diffId, tar.digest(), bytes)
  return {
    diffId,
    blobSize: bytes.kind === 'blob' ? blob.bytes : 0,
    diffSize: tar.bytes,
    // The inflater asks for the blob's bytes itself: those are waited for and hashed within its time.
    inflateMs: Math.max(0, tar.sourceMs - (blob.sourceMs + blob.hashMs - choosingMs)),
    hashMs: blob.hashMs + tar.hashMs,
    entries,
    whiteouts: tree.whiteouts,
    warnings: [...warnings],
  }
}

/** Counts and hashes what passes, and takes the time of both ends: three looks at the clock a chunk, of 64 KiB and more mostly. */
class Tally {
  readonly #hash = createHash('sha256')
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

  /** The digest of everything that passed; once. */
  digest(): Digest {
    return digestOfHex(this.#hash.digest('hex'))
  }
}

/** Throws size-mismatch or digest-mismatch if the blob is not the one the manifest names. After a broken stream the rest is read first. */
function checkBlob(bytes: LayerBytes, blob: Tally, isBroken: boolean): void {
  if (bytes.kind !== 'blob') return
  if (isBroken && bytes.size - blob.bytes > WORTH_HASHING) return
  if (isBroken) while (blob.next() !== undefined);
  if (blob.bytes !== bytes.size)
    fail({ kind: 'size-mismatch', digest: bytes.digest, want: bytes.size, got: blob.bytes, from: bytes.host })
  const got = blob.digest()
  if (got !== bytes.digest) fail({ kind: 'digest-mismatch', what: 'layer', want: bytes.digest, got, from: bytes.host })
}

function checkDiffId(want: DiffId, got: Digest, bytes: LayerBytes): void {
  if (got !== want)
    fail({ kind: 'digest-mismatch', what: 'diffID', want, got, from: bytes.kind === 'blob' ? bytes.host : bytes.path })
}

function badLayer({ bytes, diffId }: LayerTask, error: BadTar | CorruptStream): Failure {
  const entry = error instanceof BadTar && error.entry !== undefined ? { entry: printable(error.entry) } : {}
  return { kind: 'bad-layer', digest: nameOf(bytes, diffId), reason: error.message, ...entry }
}

const nameOf = (bytes: LayerBytes, diffId: DiffId): Digest => (bytes.kind === 'blob' ? bytes.digest : diffId)

/** Into a file, and not into the answer: a few entries can leave out megabytes of paths, and whoever waits for the layer below would hold them. */
function writeImplied(dir: string, paths: readonly string[]): void {
  if (paths.length === 0) return
  using file = openFile(`${dir}/implied`)
  for (let at = 0; at < paths.length; at += PATHS_AT_ONCE) {
    const some = Buffer.from(`${paths.slice(at, at + PATHS_AT_ONCE).join('\0')}\0`, 'latin1')
    for (let written = 0; written < some.length; ) written += writeSync(file.fd, some, written)
  }
}

function openFile(path: string): Disposable & { readonly fd: number } {
  const fd = openSync(path, 'wx', 0o600)
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}
