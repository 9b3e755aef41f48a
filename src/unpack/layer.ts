/** One layer, from the blocks of its tar to a tree and its tar-split, in one pass. Runs in an extractor, synchronously. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { type Failure, fail } from '../failure/failure.ts'
import type { DiffId, Digest } from '../oci/digest.ts'
import { Budget } from './budget.ts'
import { CorruptStream } from './inflate/inflate.ts'
import { BadTar } from './tar/entry.ts'
import { TarReader } from './tar/reader.ts'
import { TarSplitWriter } from './tar/split.ts'
import { TarStream } from './tar/stream.ts'
import type { BlobFacts, TarBlocks } from './tar-blocks.ts'
import { writeContent, writeContentBack } from './tree/content.ts'
import { printable } from './tree/refusal.ts'
import { TreeWriter } from './tree/writer.ts'
import type { UnpackedLayer, UnpackLimits } from './unpack.ts'

type BlobBytes = {
  readonly kind: 'blob'
  readonly blocks: TarBlocks
  readonly digest: Digest
  readonly size: number
  readonly host: string
}

/** Of a blob from a registry, or put together from a local copy. */
export type LayerBytes = BlobBytes | { readonly kind: 'tar'; readonly blocks: TarBlocks; readonly path: string }

export type LayerTask = {
  readonly dir: string
  readonly diffId: DiffId
  readonly bytes: LayerBytes
  readonly limits: UnpackLimits
  /** The disk begins with it while it is unpacked. */
  readonly writesBack: boolean
  /** Told how many bytes of the tar there have been. */
  readonly progress: (bytes: number) => void
}

export type LayerOutcome = Omit<UnpackedLayer, 'workMs'>

const MAX_WARNINGS = 20
const PATHS_AT_ONCE = 1024

/** Unpacks one layer; throws WindlassError. */
export function unpackLayer(task: LayerTask): LayerOutcome {
  const { bytes } = task
  try {
    return unpack(task)
  } catch (error) {
    if (error instanceof BadTar || error instanceof CorruptStream) {
      if (bytes.kind === 'blob') checkBlob(bytes, bytes.blocks.rest())
      fail(badLayer(task, error), error)
    }
    throw error
  }
}

function unpack({ dir, diffId, bytes, limits, writesBack, progress }: LayerTask): LayerOutcome {
  const { blocks } = bytes
  const warnings = new Set<string>()
  const warn = (text: string): void => void (warnings.size < MAX_WARNINGS && warnings.add(text))
  const budget = new Budget(limits, {
    dir,
    digest: nameOf(bytes, diffId),
    blobSize: bytes.kind === 'blob' ? bytes.size : undefined,
  })
  const limited = (): Uint8Array | undefined => {
    const block = blocks.next()
    budget.unpacked(blocks.bytes, blocks.read)
    progress(blocks.bytes)
    return block
  }
  mkdirSync(`${dir}/diff`, { mode: 0o755 })
  using tree = new TreeWriter(`${dir}/diff`, budget, warn, writesBack ? writeContentBack : writeContent)
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

  if (bytes.kind === 'blob') checkBlob(bytes, blocks.blob())
  checkDiffId(diffId, blocks.diffId(), bytes)
  return {
    diffId,
    blobSize: bytes.kind === 'blob' ? blocks.blob().bytes : 0,
    diffSize: blocks.bytes,
    ...blocks.times,
    entries,
    whiteouts: tree.whiteouts,
    warnings: [...warnings],
  }
}

/** Throws size-mismatch or digest-mismatch if the blob is not the one the manifest names. */
function checkBlob({ digest, size, host }: BlobBytes, found: BlobFacts | undefined): void {
  if (found === undefined) return
  if (found.bytes !== size) fail({ kind: 'size-mismatch', digest, want: size, got: found.bytes, from: host })
  if (found.digest !== digest) fail({ kind: 'digest-mismatch', what: 'layer', want: digest, got: found.digest, from: host })
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
