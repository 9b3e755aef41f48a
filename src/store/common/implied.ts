/**
 * Directories a layer's tar left out but wrote into. Unpacked alone, such a directory is 0755 root:root, and because it stands above
 * the lower layer's in the overlay, it would take the sticky bit from /tmp. So each gets the attributes of the directory it covers:
 * the nearest lower layer that has something at its path decides.
 */

import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../failure/failure.ts'
import { AT, cstr } from '../../sys/libc.ts'
import { LowerView } from '../../sys/lower-view.ts'
import { openDirectory } from '../../sys/tree.ts'

/** Beside `diff`, where the tar left directories out: their paths relative to it, raw bytes, in any order, each ended by a NUL. */
export const IMPLIED = 'implied'
/** More than an extractor that keeps to its limits writes by default; what is larger is no list of one. */
const MAX_LIST = 2 ** 27

/**
 * Gives each directory that is listed in `dir`, which no extractor can reach any more, its attributes. `lowers` are the diff directories
 * below, nearest first. Throws system, internal.
 */
export function attributeImplied(dir: string, lowers: readonly string[]): void {
  if (lowers.length === 0) return
  const list = readList(join(dir, IMPLIED))
  if (list.length === 0) return
  using open = new DisposableStack()
  const opened = (path: string): number => open.use(openDirectory(AT.FDCWD, cstr(path))).fd
  const view = new LowerView(opened(join(dir, 'diff')), lowers.map(opened))
  for (let at = 0; at < list.length; ) {
    const end = list.indexOf(0, at)
    if (end < 0) fail({ kind: 'internal', what: 'the list of implied directories has no end' })
    view.attribute(list.toString('latin1', at, end))
    at = end + 1
  }
}

/** The store has looked at what it took over: a file, if it is there. Whoever wrote it may still do so: it is as long as it is now. */
function readList(path: string): Buffer {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > MAX_LIST) fail({ kind: 'internal', what: `a list of ${size} bytes of implied directories` })
  const list = Buffer.alloc(size)
  if (size === 0) return list
  const fd = openSync(path, 'r')
  try {
    let length = 0
    for (let read = -1; read !== 0 && length < size; length += read) read = readSync(fd, list, length, size - length, null)
    return list.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}
