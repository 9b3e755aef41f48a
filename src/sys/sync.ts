/** Getting what was written on disk. For worker threads, and for starts: each call waits for the disk. */
import { AT, check, cstr, fsync, O, openat, wrap } from './libc.ts'
import { Descriptor } from './tree.ts'

type Mapping = [address: number, length: number]
const mmap = wrap<[...Mapping, protection: number, flags: number, fd: number, offset: number]>('mmap', 'int64', [
  'int64',
  'size_t',
  'int',
  'int',
  'int',
  'int64',
])
const munmap = wrap<Mapping>('munmap', 'int', ['int64', 'size_t'])
const mincore = wrap<[...Mapping, pages: Buffer]>('mincore', 'int', ['int64', 'size_t', 'void *'])
const sysconf = wrap<[name: number]>('sysconf', 'int64', ['int'])

/** The same on the two architectures we run on. */
const PROT_READ = 1
const MAP_SHARED = 1
const SC_PAGESIZE = 30

/** Puts on disk what was written to the file at `path`, or the names in the directory that is there (fsync(2)). Throws no-space, system. */
export function syncPath(path: string): void {
  using opened = new Descriptor(check(openat(AT.FDCWD, cstr(path), O.RDONLY | O.CLOEXEC | O.NONBLOCK, 0), 'openat', path))
  check(fsync(opened.fd), 'fsync', path)
}

/**
 * Whether the first `size` bytes of an open file are in memory, all of them. For the answer nothing is read (mincore(2)): what preadv2
 * calls RWF_NOWAIT begins to read ahead, and has blocks that were never written at once. Of a page that only a part of was ever filled,
 * as where a file system's blocks are smaller than pages, it says no. Throws system.
 */
export function isInMemory(fd: number, size: number): boolean {
  if (size === 0) return true
  const pageSize = check(sysconf(SC_PAGESIZE), 'sysconf')
  const pages = Buffer.alloc(Math.ceil(size / pageSize))
  const address = check(mmap(0, size, PROT_READ, MAP_SHARED, fd, 0), 'mmap')
  try {
    check(mincore(address, size, pages), 'mincore')
  } finally {
    munmap(address, size)
  }
  // Of the other bits nothing is said.
  return pages.every((page) => (page & 1) === 1)
}
