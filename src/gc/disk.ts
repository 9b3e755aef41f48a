/** How full the file system is that images are on. */
import { statfs } from 'node:fs/promises'
import { asWindlassError } from '../failure/failure.ts'
import { sparedBytes, sparedInodes } from '../unpack/unpack.ts'

export type Disk = {
  readonly path: string
  readonly totalBytes: number
  /** What an ordinary process may still use. */
  readonly availableBytes: number
  /** 0 where the file system makes inodes as it needs them (btrfs). */
  readonly totalInodes: number
  readonly availableInodes: number
  /** Of bytes or inodes, whichever is scarcer. */
  readonly usedPercent: number
}

/** Throws system. */
export async function measureDisk(path: string): Promise<Disk> {
  const { bsize, blocks, bavail, files, ffree } = await statfs(path).catch((error) => {
    throw asWindlassError(error)
  })
  const used = (total: number, available: number): number => (total === 0 ? 0 : (100 * (total - available)) / total)
  return {
    path,
    totalBytes: blocks * bsize,
    availableBytes: bavail * bsize,
    totalInodes: files,
    availableInodes: ffree,
    usedPercent: Math.max(used(blocks, bavail), used(files, ffree)),
  }
}

/** Bytes that layers may take up of it. */
export const usableBytes = ({ availableBytes, totalBytes }: Disk): number => availableBytes - sparedBytes(totalBytes)

/** Inodes that they may. */
export const usableInodes = ({ availableInodes, totalInodes }: Disk): number =>
  totalInodes === 0 ? Number.POSITIVE_INFINITY : availableInodes - sparedInodes(totalInodes)
