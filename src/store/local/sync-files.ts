/**
 * Getting a few files on disk one by one. syncfs also writes what every neighbour on the file system has in memory, and everybody waits for
 * that; but each fsync costs a flush of the disk, so for many files syncfs is the cheaper of the two (docs/decisions.md).
 */
import { AT, check, cstr, fsync, lstatat, O, openat, S } from '../../sys/libc.ts'
import { Descriptor, entriesOf, openDirectory } from '../../sys/tree.ts'
import { type Layout, layerDir, tarSplitFile } from './layout.ts'
import type { LayerRecord } from './records.ts'

/** Files and directories, of layers' trees and of documents; the store's own are some ten more for each layer. */
const FEW = 64
/** An image's: its directory, config, manifest, index. */
const DOCUMENTS = 4

/**
 * Syncs new layers and all documents if that is little: every file, and every directory up to the root, for a file's name is in its directory
 * (fsync(2)). False where it is much, or where something is neither file nor directory, of which fsync promises nothing: then nothing is
 * known to be on disk. Throws no-space, system.
 */
export function syncFew(at: Layout, layers: readonly LayerRecord[], documents: readonly string[]): boolean {
  if (layers.reduce((sum, { inodesUsed }) => sum + inodesUsed, DOCUMENTS * documents.length) > FEW) return false
  for (const { id } of layers) {
    if (!syncTree(AT.FDCWD, cstr(layerDir(at, id)))) return false
    syncFile(AT.FDCWD, cstr(tarSplitFile(at, id)))
  }
  for (const directory of documents) if (!syncTree(AT.FDCWD, cstr(directory))) return false
  for (const directory of [at.links, at.overlay, at.layers, at.images, at.root]) syncDirectory(directory)
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
    } else if (type === S.IFREG) syncFile(directory.fd, entry.name)
    else return false
  }
  check(fsync(directory.fd), 'fsync')
  return true
}

function syncFile(parent: number, name: Buffer): void {
  using file = new Descriptor(check(openat(parent, name, O.RDONLY | O.NOFOLLOW | O.CLOEXEC, 0), 'openat'))
  check(fsync(file.fd), 'fsync')
}

function syncDirectory(path: string): void {
  using directory = openDirectory(AT.FDCWD, cstr(path))
  check(fsync(directory.fd), 'fsync', path)
}
