/**
 * Whole trees through directory descriptors: names stay bytes, no path is ever put together, no symlink is followed. That is what lets a
 * tree deeper than PATH_MAX, or with names that are not UTF-8, be removed like any other.
 *
 * Everything is synchronous and for worker threads. `keepGoing` is asked before every entry; where it says no, the work stops and can
 * be taken up again later.
 */

import { fail } from '../failure/failure.ts'
import {
  AT,
  check,
  close,
  cstr,
  EEXIST,
  EISDIR,
  ENODATA,
  ENOENT,
  ENOTEMPTY,
  EOPNOTSUPP,
  ERANGE,
  failureFor,
  fchmod,
  fchown,
  fgetxattr,
  flistxattr,
  fsetxattr,
  fstat,
  futimens,
  lstatat,
  lstatBriefAt,
  O,
  openat,
  renameat2,
  S,
  type Stat,
  type StatBrief,
  unlinkat,
  wrap,
} from './libc.ts'

const getdents64 = wrap<[fd: number, into: Buffer, size: number]>('getdents64', 'int64', ['int', 'void *', 'size_t'])

const DIRECTORY = O.RDONLY | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC
const RENAME_NOREPLACE = 1
const DT_DIR = 4
/** Descriptors held at once while walking down; what lies deeper is first moved up. */
const MAX_DEPTH = 24
const HERE = cstr('.')

/** An entry of a directory: its name as the calls of libc.ts take it, and whether the directory said it is one (some file systems do not). */
export type Entry = { readonly name: Buffer; readonly isDirectory: boolean }

/** An open descriptor that closes with its scope. */
export class Descriptor implements Disposable {
  readonly fd: number

  constructor(fd: number) {
    this.fd = fd
  }

  [Symbol.dispose](): void {
    close(this.fd)
  }
}

/** Opens a directory below `dir`, never through a symlink at the end of `name`. */
export const openDirectory = (dir: number, name: Buffer): Descriptor =>
  new Descriptor(check(openat(dir, name, DIRECTORY, 0), 'openat', printable(name)))

/** A name for messages: without its NUL, what is not UTF-8 replaced. */
const printable = (name: Buffer): string => name.subarray(0, -1).toString()

/** Every reader's, one after another: a batch is copied out before the next is read. */
const batch = Buffer.allocUnsafe(32 * 1024)

/** The entries of an open directory but `.` and `..`, a batch in memory at a time. Throws system. */
export function* entriesOf(dir: number): Generator<Entry> {
  for (;;) {
    const length = check(getdents64(dir, batch, batch.length), 'getdents64')
    if (length === 0) return
    // Names are views of one copy of the batch.
    yield* entriesIn(Buffer.from(batch.subarray(0, length)))
  }
}

/** Reads `struct linux_dirent64` records: inode 8 bytes, offset 8, record length 2, type 1, name up to its NUL (getdents(2)). */
function entriesIn(records: Buffer): readonly Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < records.length; ) {
    const next = at + records.readUInt16LE(at + 16)
    let end = at + 19
    while (end < next && records[end] !== 0) end++
    const name = records.subarray(at + 19, end + 1)
    if (!isDots(name)) entries.push({ name, isDirectory: records[at + 18] === DT_DIR })
    at = next
  }
  return entries
}

const DOT = 0x2e
const isDots = (name: Buffer): boolean => name[0] === DOT && (name.length === 2 || (name.length === 3 && name[1] === DOT))

const always = (): boolean => true

/**
 * Removes `name` below `dir`, whatever it is; that it is not there is no error. False if `keepGoing` stopped it halfway.
 * Throws system.
 */
export function removeTree(dir: number, name: Buffer, keepGoing: () => boolean = always): boolean {
  const result = unlinkat(dir, name, 0)
  if (result >= 0 || result === -ENOENT) return true
  if (result !== -EISDIR) fail(failureFor(result, 'unlinkat', printable(name)))
  for (;;) {
    if (!emptyDirectory(dir, name, keepGoing)) return false
    const removed = unlinkat(dir, name, AT.REMOVEDIR)
    // Something was put in meanwhile: not ours to keep.
    if (removed === -ENOTEMPTY) continue
    check(removed, 'unlinkat', printable(name))
    return true
  }
}

/** Removes everything inside the directory `name`, which itself stays. False if `keepGoing` stopped it. */
export function emptyDirectory(dir: number, name: Buffer, keepGoing: () => boolean = always): boolean {
  // Each pass removes the upper levels and brings what lies deeper to the top, for the next.
  for (;;) {
    using top = openDirectory(dir, name)
    const moved = { count: 0 }
    if (!removeEntries(top.fd, { top: top.fd, depth: 0, moved, keepGoing })) return false
    if (moved.count === 0) return true
  }
}

type Removal = {
  readonly top: number
  readonly depth: number
  readonly moved: { count: number }
  readonly keepGoing: () => boolean
}

function removeEntries(dir: number, removal: Removal): boolean {
  for (const entry of entriesOf(dir)) if (!(removal.keepGoing() && removeEntry(dir, entry, removal))) return false
  return true
}

function removeEntry(dir: number, { name, isDirectory }: Entry, removal: Removal): boolean {
  const plain = isDirectory ? -EISDIR : unlinkat(dir, name, 0)
  if (plain >= 0 || plain === -ENOENT) return true
  if (plain !== -EISDIR) fail(failureFor(plain, 'unlinkat', printable(name)))
  if (unlinkat(dir, name, AT.REMOVEDIR) >= 0) return true
  if (removal.depth >= MAX_DEPTH) {
    moveToTop(dir, name, removal)
    return true
  }
  using child = openDirectory(dir, name)
  if (!removeEntries(child.fd, { ...removal, depth: removal.depth + 1 })) return false
  const removed = unlinkat(dir, name, AT.REMOVEDIR)
  // Not empty: entries that the listing skipped because others went meanwhile. The next pass finds them at the top.
  if (removed === -ENOTEMPTY) moveToTop(dir, name, removal)
  else check(removed, 'unlinkat', printable(name))
  return true
}

/** Brings a directory from the depths to the top of the tree under removal, so that depth never costs descriptors. */
function moveToTop(dir: number, name: Buffer, removal: Removal): void {
  for (;;) {
    const result = renameat2(dir, name, removal.top, cstr(`.deep-${removal.moved.count++}`), RENAME_NOREPLACE)
    if (result === -EEXIST) continue
    check(result, 'renameat2', printable(name))
    return
  }
}

/** What a tree takes up: bytes as allocated by the file system, and inodes, hard links counted once. */
export type TreeSize = { readonly bytes: number; readonly inodes: number }

/** Bytes of one unit of `st_blocks`, whatever the file system's own block size (stat(2)). */
const BLOCK = 512

/**
 * Measures the tree at `name` below `dir`, itself included; `seen` is shown every inode, once. A descriptor is held per level.
 * Throws system.
 */
export function measureTree(dir: number, name: Buffer, seen: (stat: StatBrief) => void = () => {}): TreeSize {
  const sum = new Sum(seen)
  using open = new DisposableStack()
  const directories = [enter(openDirectory(dir, name), sum)]
  open.defer(() => {
    for (const { descriptor } of directories) descriptor[Symbol.dispose]()
  })
  for (let current = directories.at(-1); current !== undefined; current = directories.at(-1)) {
    const entry = current.entries.next()
    if (entry.done === true) {
      directories.pop()?.descriptor[Symbol.dispose]()
      continue
    }
    const { fd } = current.descriptor
    const { name: child, isDirectory: isListedAsDirectory } = entry.value
    const stat = isListedAsDirectory ? undefined : statOf(lstatBriefAt(fd, child), child)
    if (stat === undefined || isDirectory(stat)) directories.push(enter(openDirectory(fd, child), sum))
    else if (stat.nlink === 1) sum.add(stat)
    // Its inode number is asked for only here.
    else sum.addLinked(statOf(lstatat(fd, child), child))
  }
  return { bytes: sum.bytes, inodes: sum.inodes }
}

function enter(descriptor: Descriptor, sum: Sum): { readonly descriptor: Descriptor; readonly entries: Iterator<Entry> } {
  sum.add(statOf(fstat(descriptor.fd), HERE))
  return { descriptor, entries: entriesOf(descriptor.fd) }
}

const isDirectory = ({ mode }: StatBrief): boolean => (mode & S.IFMT) === S.IFDIR

class Sum {
  bytes = 0
  inodes = 0
  readonly #seen: (stat: StatBrief) => void
  readonly #linked = new Set<bigint>()

  constructor(seen: (stat: StatBrief) => void) {
    this.#seen = seen
  }

  add(stat: StatBrief): void {
    this.bytes += stat.blocks * BLOCK
    this.inodes += 1
    this.#seen(stat)
  }

  /** A file with several names: the first that is met counts. */
  addLinked(stat: Stat): void {
    if (this.#linked.has(stat.ino)) return
    this.#linked.add(stat.ino)
    this.add(stat)
  }
}

const statOf = <T extends StatBrief>(stat: T | number, name: Buffer): T =>
  typeof stat === 'number' ? fail(failureFor(stat, 'statx', printable(name))) : stat

const OPAQUE = cstr('trusted.overlay.opaque')
const YES = 'y'.charCodeAt(0)

/** True where overlay shows nothing of lower layers below this open directory (trusted.overlay.opaque=y, kernel's overlayfs.rst). */
export function isOpaque(fd: number): boolean {
  const value = Buffer.alloc(1)
  const length = fgetxattr(fd, OPAQUE, value, value.length)
  if (length === 1) return value[0] === YES
  if (length === -ENODATA || length === -EOPNOTSUPP || length === -ERANGE || length === 0) return false
  return fail(failureFor(length, 'fgetxattr', 'trusted.overlay.opaque'))
}

/** Gives the open directory `to` the owner, mode, xattrs and modification time of `from`; marks of overlay itself are not copied. */
export function copyDirectoryAttributes(from: number, to: number): void {
  const stat = statOf(fstat(from), HERE)
  check(fchown(to, stat.uid, stat.gid), 'fchown')
  // After the owner: chown clears setgid.
  check(fchmod(to, stat.mode & 0o7777), 'fchmod')
  copyXattrs(from, to)
  check(futimens(to, sameTimes(stat.mtimeNs)), 'futimens')
}

const NS = 1_000_000_000n

/** A timespec pair with this time in both places: seconds rounded down, so that nanoseconds are never negative. */
function sameTimes(ns: bigint): Buffer {
  const nanoseconds = ((ns % NS) + NS) % NS
  const times = Buffer.alloc(32)
  for (const at of [0, 16]) {
    times.writeBigInt64LE((ns - nanoseconds) / NS, at)
    times.writeBigInt64LE(nanoseconds, at + 8)
  }
  return times
}

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of the kernel. */
const XATTR_MAX = 64 * 1024
const XATTR_CREATE = 1

function copyXattrs(from: number, to: number): void {
  const length = flistxattr(from, Buffer.alloc(0), 0)
  if (length === 0 || length === -EOPNOTSUPP) return
  const list = Buffer.alloc(XATTR_MAX)
  const names = list.subarray(0, check(flistxattr(from, list, list.length), 'flistxattr'))
  for (let at = 0; at < names.length; ) {
    const end = names.indexOf(0, at) + 1
    const name = names.subarray(at, end)
    if (isCopied(name.toString('latin1'))) copyXattr(from, to, name)
    at = end
  }
}

/** trusted.* belongs to this node's overlay, security.selinux to its policy: neither is a property of the image. */
const isCopied = (name: string): boolean => !name.startsWith('trusted.') && name !== 'security.selinux\0'

function copyXattr(from: number, to: number, name: Buffer): void {
  const value = Buffer.alloc(XATTR_MAX)
  const length = fgetxattr(from, name, value, value.length)
  if (length === -ENODATA) return
  check(length, 'fgetxattr', printable(name))
  const result = fsetxattr(to, name, value, length, XATTR_CREATE)
  if (result === -EEXIST || result === -EOPNOTSUPP) return
  check(result, 'fsetxattr', printable(name))
}
