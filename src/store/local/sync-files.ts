/**
 * Getting a few files on disk one by one. syncfs also writes what every neighbour on the file system has in memory, and everybody waits for
 * that; but each fsync costs a flush of the disk, so for many files syncfs is the cheaper of the two (docs/decisions.md).
 */
import { AT, check, cstr, fstat, fsync, lstatat, O, openat, S } from '../../sys/libc.ts'
import { isInMemory, syncPath } from '../../sys/sync.ts'
import { Descriptor, entriesOf, openDirectory } from '../../sys/tree.ts'
import { type Layout, layerDir, tarSplitFile } from './layout.ts'
import type { LayerRecord } from './records.ts'

/** Files and directories, of layers' trees and of documents; the store's own are some ten more for each layer. */
const FEW = 64
/** An image's: its directory, config, manifest, index. */
const DOCUMENTS = 4
/** Of layers' trees: more is not likely to be in memory still, and to be read from there takes its time. */
const FEW_BYTES = 32 * 1024 * 1024

/**
 * Syncs new layers and all documents if that is little: every file, and every directory up to the root, for a file's name is in its directory
 * (fsync(2)). False where it is much, or where fsync promises nothing: of what is neither file nor directory, and of a file that has left
 * memory. Then nothing is known to be on disk. Throws no-space, system.
 */
export function syncFew(at: Layout, layers: readonly LayerRecord[], documents: readonly string[]): boolean {
  if (layers.reduce((sum, { inodesUsed }) => sum + inodesUsed, DOCUMENTS * documents.length) > FEW) return false
  if (layers.reduce((sum, { usedBytes }) => sum + usedBytes, 0) > FEW_BYTES) return false
  for (const { id } of layers) {
    if (!syncTree(AT.FDCWD, cstr(layerDir(at, id))) || !syncFile(AT.FDCWD, cstr(tarSplitFile(at, id)))) return false
  }
  for (const directory of documents) if (!syncTree(AT.FDCWD, cstr(directory))) return false
  for (const directory of [at.links, at.overlay, at.layers, at.images, at.root]) syncPath(directory)
  return true
}

/** What is below a directory, then the directory itself. */
function syncTree(parent: number, name: Buffer): boolean {
  using directory = openDirectory(parent, name)
  for (const entry of [...entriesOf(directory.fd)]) {
    // Looked at before it is opened: opening a device can do anything.
    const stat = lstatat(directory.fd, entry.name)
    const type = typeof stat === 'number' ? check(stat, 'statx') : stat.mode & S.IFMT
    if (type === S.IFDIR) {
      if (!syncTree(directory.fd, entry.name)) return false
    } else if (type !== S.IFREG || !syncFile(directory.fd, entry.name)) return false
  }
  check(fsync(directory.fd), 'fsync')
  return true
}

/**
 * That a write-back has failed is remembered with the file's inode, and forgotten when memory needs that: a file opened after it knows of
 * nothing. What was written is gone from memory then, too, and nobody reads a layer back that is not published but to copy it, which
 * compares it with its diffID. So a file that is whole in memory was there all the time, and from here on the descriptor keeps it there.
 */
function syncFile(parent: number, name: Buffer): boolean {
  const flags = O.RDONLY | O.NOFOLLOW | O.NOATIME | O.CLOEXEC
  using file = new Descriptor(check(openat(parent, name, flags, 0), 'openat'))
  const stat = fstat(file.fd)
  if (typeof stat === 'number') check(stat, 'statx')
  else if (!isInMemory(file.fd, stat.size)) return false
  check(fsync(file.fd), 'fsync')
  return true
}
