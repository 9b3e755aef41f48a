/** Memory that the machine has not touched since it started. */
import { closeSync, openSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { freshFileSystem } from '../file-system.ts'
import type { Place } from './curves.ts'

const PIECE = Buffer.alloc(2 ** 22)

/**
 * Touches `size` bytes of it, or as much as there is. A virtual machine gets its memory from its host page by page as it is first written
 * to, at 130 to 260 MB/s where memory it has takes 1.1 GB/s: the longest pulls alone would pay for that, and their curve would bend.
 */
export async function warmMemory(size: number, { scratch, signal }: Place): Promise<void> {
  await using disk = await freshFileSystem('tmpfs', scratch, { signal })
  const { bavail, bsize } = statfsSync(disk.path)
  const file = openSync(join(disk.path, 'zeros'), 'w')
  try {
    for (let left = Math.min(size, bavail * bsize * 0.9); left > 0 && !signal.aborted; left -= PIECE.length)
      writeSync(file, PIECE)
  } finally {
    closeSync(file)
  }
}
