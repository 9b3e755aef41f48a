/** Memory that the machine has not touched, or has given back to its host. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Abortable } from '../../src/task/task.ts'

const PIECE = Buffer.alloc(2 ** 22)

/**
 * Touches `size` bytes of it through a tmpfs, right before they are wanted. A virtual machine gets its memory from its host page by page as it is
 * first written to, at 130 to 260 MB/s where memory it has takes 1.1 GB/s, and may give back what it does not use: the largest pulls
 * alone would pay for that, and their curve would bend.
 */
export function warmMemory(tmpfs: string, size: number, { signal }: Abortable): void {
  const path = join(tmpfs, 'zeros')
  const file = openSync(path, 'w')
  try {
    for (let left = size; left > 0 && !signal.aborted; left -= PIECE.length) writeSync(file, PIECE)
  } finally {
    closeSync(file)
    rmSync(path)
  }
}
