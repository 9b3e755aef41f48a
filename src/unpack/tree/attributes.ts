/** Owners, times and extended attributes of what a layer brings, with the rules for those that are not a layer's to set. */

import { fail } from '../../failure/failure.ts'
import { cstr, EOPNOTSUPP, EPERM, errnoName, failureFor, fsetxattr, lsetxattr, timespecs } from '../../sys/libc.ts'
import { BadTar, type TarEntry, type TarTime, type Xattr } from '../tar/entry.ts'
import { printable } from './refusal.ts'

/** 2³² − 1 means "leave as it is" to chown(2): a file asking for it would silently stay root's. */
const MAX_ID = 2 ** 32 - 2
/** Nanoseconds since 1970 in 63 bits, as containerd bounds times. */
const MAX_SECONDS = 9_223_372_036

/** Throws BadTar for an owner the kernel cannot hold. */
export function checkOwner(entry: TarEntry): void {
  for (const id of [entry.uid, entry.gid]) {
    if (!(Number.isInteger(id) && id >= 0 && id <= MAX_ID)) throw new BadTar(`the owner ${id} is out of range`, entry.name)
  }
}

const times = Buffer.alloc(32)

/** The time as utimensat takes it, valid until the next call; what is out of range becomes the epoch, as containerd has it. */
export function timesOf({ seconds, nanoseconds }: TarTime): Buffer {
  const inRange = seconds >= 0 && seconds < MAX_SECONDS
  return timespecs(times, inRange ? seconds : 0, inRange ? nanoseconds : 0)
}

/** Both, where `more` says again what `old` said: a directory may have several entries. */
export function mergeXattrs(old: readonly Xattr[], more: readonly Xattr[]): readonly Xattr[] {
  if (old.length === 0) return more
  const again = new Set(more.map(({ name }) => name.toString('latin1')))
  return [...old.filter(({ name }) => !again.has(name.toString('latin1'))), ...more]
}

/** Notes for a person; each once. */
export type Warn = (text: string) => void

const empty = Buffer.alloc(1)

/** Sets an entry's xattrs on an open file. */
export function setXattrs(fd: number, entry: TarEntry, warn: Warn): void {
  apply(entry.xattrs, entry.name, warn, ({ name, value }) =>
    fsetxattr(fd, cstr(name), value.length === 0 ? empty : value, value.length, 0),
  )
}

/** Sets xattrs on `name` below a directory, not following a symlink. The kernel has no call for that below a descriptor. */
export function setXattrsAt(directory: number, name: string, xattrs: readonly Xattr[], entryName: string, warn: Warn): void {
  if (xattrs.length === 0) return
  const path = cstr(Buffer.from(`/proc/self/fd/${directory}/${name}`, 'latin1'))
  apply(xattrs, entryName, warn, ({ name: key, value }) =>
    lsetxattr(path, cstr(key), value.length === 0 ? empty : value, value.length, 0),
  )
}

function apply(xattrs: readonly Xattr[], entryName: string, warn: Warn, set: (xattr: Xattr) => number): void {
  for (const xattr of xattrs) {
    const name = xattr.name.toString('latin1')
    if (isForbidden(name)) {
      warn(`the xattr ${printable(name)} is not a layer's to set and was left out`)
      continue
    }
    const result = set(xattr)
    if (result >= 0) continue
    // user.* is refused on symlinks and devices, some namespaces on some file systems: containerd goes on too.
    if (result === -EOPNOTSUPP || (result === -EPERM && name.startsWith('user.')))
      warn(`the xattr ${printable(name)} was refused here`)
    // Also what a file system says whose blocks are too small for the value: only a short one means a full disk.
    else if (isFull(result) && xattr.value.length < SHORT) fail(failureFor(result, 'setxattr', printable(entryName)))
    else throw new BadTar(`the xattr ${printable(name)} cannot be set (${errnoName(result)})`, entryName)
  }
}

/** trusted.* and user.overlay.* steer overlay itself; security.selinux is this node's policy, not the image's. */
const isForbidden = (name: string): boolean =>
  name.startsWith('trusted.') || name.startsWith('user.overlay.') || name === 'security.selinux'

/** Fits the smallest block there is. */
const SHORT = 512
const isFull = (result: number): boolean => ['ENOSPC', 'EDQUOT'].includes(errnoName(result))
