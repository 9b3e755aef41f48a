/**
 * Turns a layer's bytes into a directory in overlay form, in one pass: hash the blob, inflate, hash the tar, write the files. It runs in
 * processes of its own with synchronous calls; the main thread only hands over bytes. They start without network, secrets and most rights
 * (sys/confine.ts, sys/forbid.ts), and one that dies fails the layer it had, with internal.
 *
 * A job's directory receives `diff/`, the tree, and `tar-split.gz`, from which the tar can be put together again (containers/storage
 * needs it, and it is the checksum of every file). Where the tar left out directories that had to be made, `implied` lists them, relative to
 * `diff/`, each path ended by a NUL: the commit gives each the attributes of the lower layer's directory of that name. Nothing below `diff/` is reached through a symlink the layer brought, and nothing
 * outside the job's directory is touched. A layer that breaks a rule fails as a whole; its directory is for the caller to throw away.
 */
import type { DiffId, Digest } from '../oci/digest.ts'
import type { Rank } from '../sys/rank.ts'
import type { Abortable, ByteSink } from '../task/task.ts'
import type { Difference } from './verify/difference.ts'

export { sparedBytes, sparedInodes } from './spared.ts'
export { DIFFERENCE_KINDS, type Difference } from './verify/difference.ts'

/** Bounds on what one layer may cost. Bytes and entries are counted as they appear, whatever the layer says about itself. */
export type UnpackLimits = {
  /** Bytes of the uncompressed tar, and of the holes of its sparse files. */
  readonly maxUnpackedSize: number
  /** Members, and directories made for them on the way. */
  readonly maxLayerEntries: number
  /** Uncompressed to compressed, checked once the first 16 MiB are out. */
  readonly maxCompressionRatio: number
  /** Bytes of extended headers (long names, xattrs, sparse maps) beyond 4 KiB an entry, and of directory paths the tar leaves out. */
  readonly maxLayerMetadata: number
}

/** Where a layer's bytes come from: a registry's blob, pushed through the sink, or a layer unpacked on this node before. */
export type LayerSource =
  | { readonly kind: 'blob'; readonly digest: Digest; readonly size: number; readonly host: string }
  /** `dir` holds `diff/` and `tar-split.gz` of the same diffID; the tar is put together again and unpacked like any other. */
  | { readonly kind: 'local'; readonly diff: string; readonly tarSplit: string }

export type UnpackJob = {
  /** An empty directory of the caller's. */
  readonly dir: string
  readonly diffId: DiffId
  readonly source: LayerSource
}

/** What a layer turned out to be. Times are in milliseconds. */
export type UnpackedLayer = {
  readonly diffId: DiffId
  /** Bytes of the blob (0 for a local source) and of the tar. */
  readonly blobSize: number
  readonly diffSize: number
  readonly entries: number
  readonly whiteouts: number
  /** Things left out or changed that a person may want to know ("trusted.* xattr ignored"), at most 20, each once. */
  readonly warnings: readonly string[]
  /**
   * The worker's time waiting for bytes, and its time working; of that, inflating and hashing. The rest is the tree's: tar, files, attributes.
   * Where a second thread inflates, inflating is what the one that writes the tree had to wait for it.
   */
  readonly waitMs: number
  readonly workMs: number
  readonly inflateMs: number
  readonly hashMs: number
}

export interface Unpacker extends AsyncDisposable {
  /** Throws not-permitted where this process lacks what every layer needs. `open` does as well; this is for who has other work to do first. */
  checkRights(): void
  /** A layer will come soon: starts a worker for it, where none waits for one. It takes as long as a registry needs to answer. */
  startWorker(): void
  /**
   * Waits for a free worker, then takes the job. Bytes of a blob source go in by `write`; `finish` says that was all and waits for the end.
   * Throws (from `write` as soon as it is known, and from `finish`): digest-mismatch, size-mismatch, unsupported, bad-layer, limit,
   * no-space, not-permitted, system, internal, cancelled. Disposing before `finish` stops the worker at its next chunk and waits until it has let go of `dir`.
   */
  open(job: UnpackJob, options: Abortable): Promise<Unpacking>
}

export interface Unpacking extends ByteSink, AsyncDisposable {
  /** Milliseconds for which `write` had to wait for the worker: the layer was not bound by the network then. */
  readonly blockedMs: number
  /** Bytes that were written and that the worker has not come to yet. */
  readonly unread: number
  /** `behind`: it gets processor and disk when nobody else wants them, from now on. `usual` at the beginning. */
  rank(rank: Rank): void
  /** Bytes of the tar that the worker says it has made of the others; 0 once it is done. */
  readonly unpacked: number
  finish(): Promise<UnpackedLayer>
}

/** A tree to compare with its layer. Nothing of it is changed. */
export type VerifyJob = {
  /** An empty directory of the caller's, on the tree's file system. What is in it afterwards is for the caller to throw away. */
  readonly dir: string
  readonly diffId: DiffId
  readonly diff: string
  readonly tarSplit: string
  /** The trees below it, nearest first: directories that the tar leaves out must have the attributes that these have. */
  readonly lowers: readonly string[]
  /** Trees that will be verified next: whoever looks at this one may be given those, too. */
  readonly among: readonly string[]
  /** Bytes of the layer's tar. */
  readonly diffSize: number
}

/** What was found of a layer's tree. */
export type Verdict = {
  /** The first of them; `total` counts all. None: the tree is the layer's. */
  readonly differences: readonly Difference[]
  readonly total: number
  /**
   * Whether the tar that was put together again has the diffID. `unknowable`: an entry of it took the place of an earlier one, whose bytes are
   * in no tree; every file was compared by its CRC-64 all the same.
   */
  readonly digest: 'equal' | 'differs' | 'unknowable'
  readonly entries: number
  readonly bytes: number
  readonly workMs: number
}

/**
 * Compares a tree with the layer it was unpacked from, by its tar-split: the tar is put together again from the tree and hashed, each file's
 * bytes are compared by their CRC-64, and everything else the tar says of a path with what is there; what is there and not in the tar is
 * told too. It is done by an extractor: a tree that anybody may have changed is as hostile as a download.
 */
export interface Verifier {
  /**
   * Waits for a worker, of which pulls always keep one to themselves. `onProgress` is told how many bytes of the tar have passed. Throws
   * limit, no-space, not-permitted, system, internal, cancelled: then nothing is known of the tree.
   */
  verify(job: VerifyJob, options: Abortable & { readonly onProgress?: (bytes: number) => void }): Promise<Verdict>
}
