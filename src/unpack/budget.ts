/**
 * What one layer may cost. Everything is counted as it appears, whatever the layer says about itself, and the file system is looked at
 * while it fills: a layer that does not fit stops before the disk of the node is full.
 */
import { statfsSync } from 'node:fs'
import { fail } from '../failure/failure.ts'
import type { Digest } from '../oci/digest.ts'
import { sparedBytes, sparedInodes } from './spared.ts'
import type { UnpackLimits } from './unpack.ts'

/** The ratio of a bomb shows early; below this much output, ratios mean nothing. */
const RATIO_COUNTS_FROM = 2 ** 24
/** Extended headers a member may have without touching `maxLayerMetadata`: a long name, a long target, times, a capability, a label. */
const METADATA_PER_ENTRY = 2 ** 12
/** What a remembered path costs beside its bytes. */
const PATH_OVERHEAD = 64
/**
 * How much may be written between two looks at the file system: a part of what is left, since others unpack to it too and look at their own
 * time, at most and at least.
 */
const LOOK = { part: 1 / 16, bytes: { most: 2 ** 26, least: 2 ** 18 }, inodes: { most: 4096, least: 16 } }

export type BudgetedLayer = {
  /** Where it is unpacked to. */
  readonly dir: string
  /** Named in failures. */
  readonly digest: Digest
  /** Bytes of the blob; undefined where there is none to compare with. */
  readonly blobSize: number | undefined
}

export class Budget {
  readonly #limits: UnpackLimits
  readonly #layer: BudgetedLayer
  #entries = 0
  #bytes = 0
  #metadata = 0
  #remembered = 0
  #holes = 0
  #lookAt = { bytes: 0, entries: 0 }

  /** Throws no-space where there is no room left; whether the whole layer has any was asked before, and is made while it comes. */
  constructor(limits: UnpackLimits, layer: BudgetedLayer) {
    this.#limits = limits
    this.#layer = layer
    this.#look()
  }

  /** One more inode. */
  entry(): void {
    const { maxLayerEntries } = this.#limits
    if (++this.#entries > maxLayerEntries) this.#exceeded('the number of entries', 'maxLayerEntries', maxLayerEntries)
    if (this.#entries >= this.#lookAt.entries) this.#look()
  }

  /** The tar has come to `unpacked` bytes, out of `read` bytes of the blob. */
  unpacked(unpacked: number, read: number): void {
    const { maxCompressionRatio } = this.#limits
    this.#bytes = unpacked
    this.#checkSize()
    if (this.#layer.blobSize !== undefined && unpacked > RATIO_COUNTS_FROM && unpacked > read * maxCompressionRatio)
      this.#exceeded('the compression ratio', 'maxCompressionRatio', maxCompressionRatio)
    if (unpacked >= this.#lookAt.bytes) this.#look()
  }

  /** A sparse file's holes: they cost no disk here, but whoever reads or copies the file gets them as bytes. */
  holes(bytes: number): void {
    this.#holes += bytes
    this.#checkSize()
  }

  /** An extended header of so many bytes. */
  metadata(bytes: number): void {
    this.#metadata += bytes
    const { maxLayerMetadata } = this.#limits
    if (this.#metadata > maxLayerMetadata + this.#entries * METADATA_PER_ENTRY)
      this.#exceeded('the size of extended headers', 'maxLayerMetadata', maxLayerMetadata)
  }

  /** A path that stays in memory until the layer is complete. */
  path(bytes: number): void {
    this.#remembered += bytes + PATH_OVERHEAD
    const { maxLayerMetadata } = this.#limits
    if (this.#remembered > maxLayerMetadata)
      this.#exceeded('the size of paths the tar leaves out', 'maxLayerMetadata', maxLayerMetadata)
  }

  #checkSize(): void {
    const { maxUnpackedSize } = this.#limits
    if (this.#bytes + this.#holes > maxUnpackedSize) this.#exceeded('the unpacked size', 'maxUnpackedSize', maxUnpackedSize)
  }

  #exceeded(what: string, setting: keyof UnpackLimits, limit: number): never {
    return fail({ kind: 'limit', what, limit, setting: `limits.${setting}`, digest: this.#layer.digest })
  }

  /** Throws no-space where no bytes, or no inodes, are left above the reserve; says when to look again. */
  #look(): void {
    const { dir } = this.#layer
    const { bsize, blocks, bavail, files, ffree } = statfsSync(dir)
    const bytes = bavail * bsize - sparedBytes(blocks * bsize)
    // File systems that make inodes as they go (btrfs, some tmpfs) say they have none.
    const inodes = files === 0 ? Number.POSITIVE_INFINITY : ffree - sparedInodes(files)
    if (bytes <= 0 || inodes <= 0) fail({ kind: 'no-space', path: dir, code: 'ENOSPC', ...(bytes > 0 ? { inodes: true } : {}) })
    this.#lookAt = {
      bytes: this.#bytes + between(LOOK.bytes.least, bytes * LOOK.part, LOOK.bytes.most),
      entries: this.#entries + between(LOOK.inodes.least, inodes * LOOK.part, LOOK.inodes.most),
    }
  }
}

const between = (least: number, value: number, most: number): number => Math.max(least, Math.min(value, most))
