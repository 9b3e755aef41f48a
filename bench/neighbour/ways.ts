/** The ways of getting an image's files on disk that are compared, and the calls they are made of. */
import { AT, check, cstr, fsync, O, openat, syncfs, wrap } from '../../src/sys/libc.ts'
import { Descriptor, entriesOf, openDirectory } from '../../src/sys/tree.ts'

export const WAYS = ['unsynced', 'syncfs', 'range+syncfs', 'syncfs each', 'files', 'range+files', 'range+dirs'] as const
export type Way = (typeof WAYS)[number]

/** What each does as a layer has been unpacked, beside the others that still are, and at the end for the whole image. */
export const plans: Readonly<
  Record<Way, { readonly early?: 'range' | 'syncfs'; readonly last: 'nothing' | 'syncfs' | 'files' | 'directories' }>
> = {
  unsynced: { last: 'nothing' },
  syncfs: { last: 'syncfs' },
  'range+syncfs': { early: 'range', last: 'syncfs' },
  'syncfs each': { early: 'syncfs', last: 'syncfs' },
  files: { last: 'files' },
  'range+files': { early: 'range', last: 'files' },
  'range+dirs': { early: 'range', last: 'directories' },
}

const syncFileRange = wrap<[fd: number, offset: number, bytes: number, flags: number]>('sync_file_range', 'int', [
  'int',
  'int64',
  'int64',
  'uint',
])
/** SYNC_FILE_RANGE_WRITE: starts writing, waits for nothing (sync_file_range(2)). */
const START_WRITING = 2
/** SYNC_FILE_RANGE_WRITE_AND_WAIT: waits until the device has it. */
const WRITE_AND_WAIT = 7
const FILE = O.RDONLY | O.NOFOLLOW | O.NONBLOCK | O.CLOEXEC

export const syncFileSystem = (fd: number): void => void check(syncfs(fd), 'syncfs')

/** Every file and directory, children first. What can be neither opened nor synced by itself (links, devices) is its directory's. */
export function syncTree(path: string): void {
  using root = openDirectory(AT.FDCWD, cstr(path))
  forEachFile(root.fd, (fd) => check(fsync(fd), 'fsync', path))
}

/**
 * Waits for every file's bytes, then syncs the directories: one journal holds them and the files' metadata, and its commit is the flush.
 * So ext4 does with a journal, and no manual promises it; without a journal, files are lost.
 */
export function writeTreeAndSyncDirectories(path: string): void {
  using root = openDirectory(AT.FDCWD, cstr(path))
  forEachFile(
    root.fd,
    (fd, isDirectory) => void (isDirectory || check(syncFileRange(fd, 0, 0, WRITE_AND_WAIT), 'sync_file_range')),
  )
  forEachFile(root.fd, (fd, isDirectory) => void (isDirectory && check(fsync(fd), 'fsync')))
}

export function syncFile(path: string): void {
  using file = new Descriptor(check(openat(AT.FDCWD, cstr(path), FILE, 0), 'openat', path))
  check(fsync(file.fd), 'fsync', path)
}

export function syncDirectory(path: string): void {
  using directory = openDirectory(AT.FDCWD, cstr(path))
  check(fsync(directory.fd), 'fsync', path)
}

/** Has every file below an open directory on its way to the disk. */
export function startWriting(directory: number): void {
  forEachFile(directory, (fd, isDirectory) => {
    if (!isDirectory) check(syncFileRange(fd, 0, 0, START_WRITING), 'sync_file_range')
  })
}

function forEachFile(directory: number, visit: (fd: number, isDirectory: boolean) => void): void {
  for (const { name, isDirectory } of [...entriesOf(directory)]) {
    if (isDirectory) {
      using child = openDirectory(directory, name)
      forEachFile(child.fd, visit)
    } else {
      using file = new Descriptor(check(openat(directory, name, FILE, 0), 'openat'))
      visit(file.fd, false)
    }
  }
  visit(directory, true)
}
