/** The mount calls of Linux 5.2 and later, and two old ones, raw: a value ≥ 0, or −errno (fsopen(2), move_mount(2), open_tree(2)). */
import { AT, cstr, ENOSYS, wrap } from './libc.ts'

export const MOUNT_ATTR = { RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8 } as const
export const PROPAGATION = { PRIVATE: 1 << 18, SLAVE: 1 << 19 } as const
export const MNT_DETACH = 2
export const FSCONFIG = { SET_FLAG: 0, SET_STRING: 1, CMD_CREATE: 6 } as const

// Numbers from 424 on are the same on every architecture.
const SYS = { open_tree: 428, move_mount: 429, fsopen: 430, fsconfig: 431, fsmount: 432, mount_setattr: 442 } as const
/** asm/unistd_64.h, asm-generic/unistd.h. */
const PIVOT_ROOT: Readonly<Record<string, number>> = { x64: 155, arm64: 41 }
const FSOPEN_CLOEXEC = 1
const FSMOUNT_CLOEXEC = 1
const OPEN_TREE = { CLONE: 1, CLOEXEC: 0o2000000 } as const
const RECURSIVE = 0x8000
const MOVE_MOUNT_F_EMPTY_PATH = 4
const EMPTY = cstr('')

const callPath = wrap<[call: number, path: Buffer, flags: number]>('syscall', 'int64', ['int64', 'void *', 'int64'])
const callPaths = wrap<[call: number, first: Buffer, second: Buffer]>('syscall', 'int64', ['int64', 'void *', 'void *'])
const callNumbers = wrap<[call: number, fd: number, flags: number, attributes: number]>('syscall', 'int64', [
  'int64',
  'int64',
  'int64',
  'int64',
])
const callTree = wrap<[call: number, dir: number, path: Buffer, flags: number]>('syscall', 'int64', [
  'int64',
  'int64',
  'void *',
  'int64',
])
const callConfig = wrap<[call: number, fd: number, command: number, key: Buffer | null, value: Buffer | null, aux: number]>(
  'syscall',
  'int64',
  ['int64', 'int64', 'int64', 'void *', 'void *', 'int64'],
)
const callMove = wrap<[call: number, from: number, path: Buffer, to: number, toPath: Buffer, flags: number]>('syscall', 'int64', [
  'int64',
  'int64',
  'void *',
  'int64',
  'void *',
  'int64',
])
const callAttributes = wrap<[call: number, dir: number, path: Buffer, flags: number, attributes: Buffer, size: number]>(
  'syscall',
  'int64',
  ['int64', 'int64', 'void *', 'int64', 'void *', 'int64'],
)

export const fsopen = (type: string): number => callPath(SYS.fsopen, cstr(type), FSOPEN_CLOEXEC)
export const fsconfig = (context: number, command: number, key: Buffer | null, value: Buffer | null): number =>
  callConfig(SYS.fsconfig, context, command, key, value, 0)
export const fsmount = (context: number, attributes: number): number =>
  callNumbers(SYS.fsmount, context, FSMOUNT_CLOEXEC, attributes)
/** Puts the mount that `from` is at `path` below `to`. */
export const moveMount = (from: number, to: number, path: string): number =>
  callMove(SYS.move_mount, from, EMPTY, to, cstr(path), MOVE_MOUNT_F_EMPTY_PATH)
/** A copy of what is at `path`, mounted nowhere; with what is mounted below it, if `recursive`. The descriptor is an O_PATH one. */
export const cloneTree = (path: string, recursive = false): number =>
  callTree(SYS.open_tree, AT.FDCWD, cstr(path), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | (recursive ? RECURSIVE : 0))
export const pivotRoot = (root: string, old: string): number => {
  const call = PIVOT_ROOT[process.arch]
  return call === undefined ? -ENOSYS : callPaths(call, cstr(root), cstr(old))
}
export const umount = wrap<[target: Buffer, flags: number]>('umount2', 'int', ['void *', 'int'])
export const fchdir = wrap<[fd: number]>('fchdir', 'int', ['int'])

export type MountAttributes = { readonly set?: number; readonly propagation?: number; readonly recursive?: boolean }

/** mount_setattr(2), on the mount that `mount` is a descriptor or the path of. */
export function setMountAttributes(
  mount: number | string,
  { set = 0, propagation = 0, recursive = false }: MountAttributes,
): number {
  const attributes = Buffer.alloc(32)
  attributes.writeBigUInt64LE(BigInt(set), 0)
  attributes.writeBigUInt64LE(BigInt(propagation), 16)
  const flags = recursive ? RECURSIVE : 0
  return typeof mount === 'number'
    ? callAttributes(SYS.mount_setattr, mount, EMPTY, flags | AT.EMPTY_PATH, attributes, attributes.length)
    : callAttributes(SYS.mount_setattr, AT.FDCWD, cstr(mount), flags, attributes, attributes.length)
}
