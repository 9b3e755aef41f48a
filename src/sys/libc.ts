/**
 * The libc calls Node lacks, raw: every call returns a value ≥ 0, or −errno. `check` turns the latter into a `WindlassError`.
 *
 * Names are NUL-terminated Buffers (`cstr`), because file names are bytes. Calls are synchronous and work in worker threads; anything
 * that can take long belongs there.
 */
import { constants } from 'node:fs'
import os from 'node:os'
import koffi from 'koffi'
import { type Failure, fail, systemFailure } from '../failure/failure.ts'

const libc = koffi.load(null)

/** Declares one libc function whose result is −1 on failure; errno is read in the very next expression, before anything can change it. */
export function wrap<A extends readonly unknown[]>(
  name: string,
  result: 'int' | 'int64',
  parameters: readonly string[],
): (...args: A) => number {
  const call = libc.func(name, result, [...parameters])
  return (...args) => {
    const value: number = call(...args)
    return value < 0 ? -koffi.errno() : value
  }
}

/** System call numbers of calls that glibc before 2.33, or musl, has no symbol for. */
const numbers: Record<string, { openat2: number; mknodat: number; statx: number; renameat2: number }> = {
  x64: { openat2: 437, mknodat: 259, statx: 332, renameat2: 316 },
  arm64: { openat2: 437, mknodat: 33, statx: 291, renameat2: 276 },
}
const SYS =
  numbers[process.arch] ??
  fail({ kind: 'unsupported', what: 'processor', mediaType: process.arch, hint: 'linux on x64 or arm64 is needed' })

/** Open flags. Those of `fs.constants` differ between architectures; O_PATH and O_CLOEXEC do not, on the two we run on. */
export const O = {
  RDONLY: constants.O_RDONLY,
  WRONLY: constants.O_WRONLY,
  CREAT: constants.O_CREAT,
  EXCL: constants.O_EXCL,
  NONBLOCK: constants.O_NONBLOCK,
  DIRECTORY: constants.O_DIRECTORY,
  NOFOLLOW: constants.O_NOFOLLOW,
  NOATIME: constants.O_NOATIME,
  PATH: 0o10000000,
  CLOEXEC: 0o2000000,
} as const

/** Flags of the *at calls (linux/fcntl.h, the same everywhere). */
export const AT = { FDCWD: -100, SYMLINK_NOFOLLOW: 0x100, REMOVEDIR: 0x200, EMPTY_PATH: 0x1000 } as const

/** How openat2 resolves a path (openat2(2)). */
export const RESOLVE = { NO_MAGICLINKS: 2, NO_SYMLINKS: 4, BENEATH: 8, IN_ROOT: 16 } as const

/** File types in `st_mode`. */
export const S = {
  IFMT: 0o170000,
  IFREG: 0o100000,
  IFDIR: 0o040000,
  IFLNK: 0o120000,
  IFCHR: 0o020000,
  IFBLK: 0o060000,
  IFIFO: 0o010000,
} as const

export const LOCK = { EX: 2, NB: 4 } as const

const { errno } = os.constants
export const {
  EEXIST,
  ENOENT,
  ENOTDIR,
  EISDIR,
  ELOOP,
  EINVAL,
  EPERM,
  ENOTEMPTY,
  EAGAIN,
  ENOSYS,
  EOPNOTSUPP,
  ENODATA,
  ENAMETOOLONG,
  EINTR,
  ERANGE,
  EROFS,
  EWOULDBLOCK,
} = errno

const names = new Map(Object.entries(errno).map(([name, number]) => [number, name]))

/** `ENOENT` for 2 or −2. */
export const errnoName = (result: number): string => names.get(Math.abs(result)) ?? `errno ${Math.abs(result)}`

/** The failure a negative result stands for. */
export const failureFor = (result: number, operation: string, path?: string): Failure =>
  systemFailure(operation, errnoName(result), path)

/** `result`, or a throw of the failure it stands for. `path` is for the message alone. */
export function check(result: number, operation: string, path?: string): number {
  if (result < 0) fail(failureFor(result, operation, path))
  return result
}

/** A name or path as the calls here take it. Bytes with a NUL inside would be cut short silently, so they are refused. */
export function cstr(name: Uint8Array | string): Buffer {
  const bytes = typeof name === 'string' ? Buffer.from(name) : name
  if (bytes.includes(0)) fail({ kind: 'invalid-argument', what: 'file name', reason: 'it contains a NUL byte' })
  const terminated = Buffer.allocUnsafe(bytes.length + 1)
  terminated.set(bytes)
  terminated[bytes.length] = 0
  return terminated
}

/** `cstr` of a name held as bytes in latin1, as layers' facts hold them. */
export const cstrLatin1 = (name: string): Buffer => cstr(Buffer.from(name, 'latin1'))

export const openat = wrap<[dir: number, name: Buffer, flags: number, mode: number]>('openat', 'int', [
  'int',
  'void *',
  'int',
  'uint',
])
export const close = wrap<[fd: number]>('close', 'int', ['int'])
export const mkdirat = wrap<[dir: number, name: Buffer, mode: number]>('mkdirat', 'int', ['int', 'void *', 'uint'])
export const unlinkat = wrap<[dir: number, name: Buffer, flags: number]>('unlinkat', 'int', ['int', 'void *', 'int'])
export const symlinkat = wrap<[target: Buffer, dir: number, name: Buffer]>('symlinkat', 'int', ['void *', 'int', 'void *'])
export const readlinkat = wrap<[dir: number, name: Buffer, target: Buffer, size: number]>('readlinkat', 'int64', [
  'int',
  'void *',
  'void *',
  'size_t',
])
export const linkat = wrap<[fromDir: number, from: Buffer, toDir: number, to: Buffer, flags: number]>('linkat', 'int', [
  'int',
  'void *',
  'int',
  'void *',
  'int',
])
export const fchownat = wrap<[dir: number, name: Buffer, uid: number, gid: number, flags: number]>('fchownat', 'int', [
  'int',
  'void *',
  'uint',
  'uint',
  'int',
])
export const fchown = wrap<[fd: number, uid: number, gid: number]>('fchown', 'int', ['int', 'uint', 'uint'])
export const fchmod = wrap<[fd: number, mode: number]>('fchmod', 'int', ['int', 'uint'])
export const fchmodat = wrap<[dir: number, name: Buffer, mode: number, flags: number]>('fchmodat', 'int', [
  'int',
  'void *',
  'uint',
  'int',
])
export const futimens = wrap<[fd: number, times: Buffer]>('futimens', 'int', ['int', 'void *'])
export const utimensat = wrap<[dir: number, name: Buffer, times: Buffer, flags: number]>('utimensat', 'int', [
  'int',
  'void *',
  'void *',
  'int',
])
export const fsetxattr = wrap<[fd: number, name: Buffer, value: Buffer, size: number, flags: number]>('fsetxattr', 'int', [
  'int',
  'void *',
  'void *',
  'size_t',
  'int',
])
export const lsetxattr = wrap<[path: Buffer, name: Buffer, value: Buffer, size: number, flags: number]>('lsetxattr', 'int', [
  'void *',
  'void *',
  'void *',
  'size_t',
  'int',
])
export const lgetxattr = wrap<[path: Buffer, name: Buffer, value: Buffer, size: number]>('lgetxattr', 'int64', [
  'void *',
  'void *',
  'void *',
  'size_t',
])
export const llistxattr = wrap<[path: Buffer, list: Buffer, size: number]>('llistxattr', 'int64', ['void *', 'void *', 'size_t'])
export const fgetxattr = wrap<[fd: number, name: Buffer, value: Buffer, size: number]>('fgetxattr', 'int64', [
  'int',
  'void *',
  'void *',
  'size_t',
])
export const flistxattr = wrap<[fd: number, list: Buffer, size: number]>('flistxattr', 'int64', ['int', 'void *', 'size_t'])
export const write = wrap<[fd: number, bytes: Uint8Array, size: number]>('write', 'int64', ['int', 'void *', 'size_t'])
export const syncfs = wrap<[fd: number]>('syncfs', 'int', ['int'])
export const syncFileRange = wrap<[fd: number, from: number, length: number, flags: number]>('sync_file_range', 'int', [
  'int',
  'int64',
  'int64',
  'uint',
])
export const fsync = wrap<[fd: number]>('fsync', 'int', ['int'])
export const flock = wrap<[fd: number, operation: number]>('flock', 'int', ['int', 'int'])
export const unshare = wrap<[flags: number]>('unshare', 'int', ['int'])
export const umask = wrap<[mask: number]>('umask', 'int', ['uint'])

// syscall(2) is variadic; on both architectures variadic integers travel in the same registers as declared ones.
const syscall = wrap<[number: number, ...args: unknown[]]>('syscall', 'int64', ['int64', 'int64', 'void *', 'void *', 'int64'])
const syscallMknod = wrap<[number: number, dir: number, name: Buffer, mode: number, device: number]>('syscall', 'int64', [
  'int64',
  'int64',
  'void *',
  'int64',
  'int64',
])
const syscallStatx = wrap<[number: number, dir: number, name: Buffer, flags: number, mask: number, out: Buffer]>(
  'syscall',
  'int64',
  ['int64', 'int64', 'void *', 'int64', 'int64', 'void *'],
)
const syscallRename = wrap<[number: number, fromDir: number, from: Buffer, toDir: number, to: Buffer, flags: number]>(
  'syscall',
  'int64',
  ['int64', 'int64', 'void *', 'int64', 'void *', 'int64'],
)

const OPENAT2_PATIENCE_MS = 2000

/**
 * openat2(2): opens `path` below `dir` under the rules of `resolve`. `..` with RESOLVE_IN_ROOT answers EAGAIN while anything on the
 * system is renamed; it is tried again for up to two seconds.
 */
export function openat2(dir: number, path: Buffer, flags: number, mode: number, resolve: number): number {
  const how = Buffer.alloc(24)
  how.writeBigUInt64LE(BigInt(flags | O.CLOEXEC), 0)
  // A mode without O_CREAT is EINVAL.
  how.writeBigUInt64LE((flags & O.CREAT) === 0 ? 0n : BigInt(mode), 8)
  how.writeBigUInt64LE(BigInt(resolve), 16)
  let fd = syscall(SYS.openat2, dir, path, how, 24)
  if (fd !== -EAGAIN) return fd
  const until = performance.now() + OPENAT2_PATIENCE_MS
  while (fd === -EAGAIN && performance.now() < until) fd = syscall(SYS.openat2, dir, path, how, 24)
  return fd
}

/** The kernel's encoding of a device number: 12 bits of major, 20 of minor (linux/kdev_t.h). Undefined when they do not fit. */
export function deviceNumber(major: number, minor: number): number | undefined {
  if (!(Number.isInteger(major) && Number.isInteger(minor) && major >= 0 && major < 2 ** 12 && minor >= 0 && minor < 2 ** 20))
    return undefined
  return (((minor & 0xfff00) << 12) | (major << 8) | (minor & 0xff)) >>> 0
}

/** mknodat(2); `device` as `deviceNumber` gives it. */
export const mknodat = (dir: number, name: Buffer, mode: number, device: number): number =>
  syscallMknod(SYS.mknodat, dir, name, mode, device)

/** renameat2(2): 1 is RENAME_NOREPLACE, 2 RENAME_EXCHANGE. */
export const renameat2 = (fromDir: number, from: Buffer, toDir: number, to: Buffer, flags: number): number =>
  syscallRename(SYS.renameat2, fromDir, from, toDir, to, flags)

/** Whose an inode is, and what it takes up. */
export type StatBrief = {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly nlink: number
  readonly blocks: number
}

/** What statx says. Times in nanoseconds since the epoch. */
export type Stat = StatBrief & {
  readonly ino: bigint
  readonly size: number
  readonly mtimeNs: bigint
  readonly rdevMajor: number
  readonly rdevMinor: number
  readonly dev: string
}

const STATX_BASIC = 0x7ff
const statBuffer = Buffer.alloc(256)
const EMPTY = cstr('')

/** Stats `name` below `dir` without following a symlink at its end; −errno on failure. */
export function lstatat(dir: number, name: Buffer): Stat | number {
  return statx(dir, name, AT.SYMLINK_NOFOLLOW)
}

/** Stats an open descriptor, O_PATH ones too. */
export const fstat = (fd: number): Stat | number => statx(fd, EMPTY, AT.EMPTY_PATH)

/** `lstatat` for whoever looks at whole trees: without what costs more to read than the call itself. */
export function lstatBriefAt(dir: number, name: Buffer): StatBrief | number {
  const result = syscallStatx(SYS.statx, dir, name, AT.SYMLINK_NOFOLLOW, STATX_BASIC, statBuffer)
  return result < 0 ? result : briefIn(statBuffer)
}

const briefIn = (buffer: Buffer): StatBrief => ({
  nlink: buffer.readUInt32LE(16),
  uid: buffer.readUInt32LE(20),
  gid: buffer.readUInt32LE(24),
  mode: buffer.readUInt16LE(28),
  blocks: buffer.readUInt32LE(48) + buffer.readUInt32LE(52) * 2 ** 32,
})

function statx(dir: number, name: Buffer, flags: number): Stat | number {
  const result = syscallStatx(SYS.statx, dir, name, flags, STATX_BASIC, statBuffer)
  if (result < 0) return result
  return {
    ...briefIn(statBuffer),
    ino: statBuffer.readBigUInt64LE(32),
    size: Number(statBuffer.readBigUInt64LE(40)),
    mtimeNs: statBuffer.readBigInt64LE(112) * 1_000_000_000n + BigInt(statBuffer.readUInt32LE(120)),
    rdevMajor: statBuffer.readUInt32LE(128),
    rdevMinor: statBuffer.readUInt32LE(132),
    dev: `${statBuffer.readUInt32LE(136)}:${statBuffer.readUInt32LE(140)}`,
  }
}

/** A timespec pair for utimensat: access and modification time, seconds (possibly negative) and nanoseconds. */
export function timespecs(into: Buffer, seconds: number, nanoseconds: number): Buffer {
  for (const at of [0, 16]) {
    into.writeBigInt64LE(BigInt(seconds), at)
    into.writeBigInt64LE(BigInt(nanoseconds), at + 8)
  }
  return into
}
