/**
 * What directories are owed when a layer is complete, or when their records are forgotten before: owner, mode, xattrs, times, and the mark
 * of an opaque one. What such a directory would hand down to what is made in it is taken off again when it comes back into use.
 */
import { lchmodat } from '../../sys/chmod.ts'
import { AT, check, cstr, cstrLatin1, fchownat, lgetxattr, lsetxattr, type Stat, utimensat, wrap } from '../../sys/libc.ts'
import type { Xattr } from '../tar/entry.ts'
import { setXattrsAt, timesOf, type Warn } from './attributes.ts'
import type { Directory, DirectoryAttributes } from './directory.ts'
import { ok } from './refusal.ts'

const OPAQUE = cstr('trusted.overlay.opaque')
const YES = Buffer.from('y')
/** Access control lists that new entries get from their directory (acl(5)). */
const DEFAULT_ACL = Buffer.from('system.posix_acl_default')
const SETGID = 0o2000
/** XATTR_SIZE_MAX. */
const value = Buffer.alloc(2 ** 16)

const lremovexattr = wrap<[path: Buffer, name: Buffer]>('lremovexattr', 'int', ['void *', 'void *'])

/** Gives a directory of `parent` all that its entry, or its place, says. */
export function settle(parent: number, directory: Directory, warn: Warn): void {
  const { name, attributes, inheritedGroup } = directory
  if (directory.opaque) setOpaque(parent, name)
  if (attributes !== undefined) setAttributes(parent, directory, attributes, warn)
  else if (inheritedGroup !== undefined)
    ok(fchownat(parent, cstrLatin1(name), 0, inheritedGroup, AT.SYMLINK_NOFOLLOW), 'fchownat', { name })
}

export function setOpaque(parent: number, name: string): void {
  ok(lsetxattr(pathTo(parent, name), OPAQUE, YES, YES.length, 0), 'lsetxattr', { name })
}

function setAttributes(parent: number, { name, isReadBack }: Directory, attributes: DirectoryAttributes, warn: Warn): void {
  const cname = cstrLatin1(name)
  const at = { name }
  if (attributes.uid !== 0 || attributes.gid !== 0 || isReadBack)
    ok(fchownat(parent, cname, attributes.uid, attributes.gid, AT.SYMLINK_NOFOLLOW), 'fchownat', at)
  setXattrsAt(parent, name, attributes.xattrs, name, warn)
  ok(lchmodat(parent, cname, attributes.mode), 'fchmodat2', at)
  ok(utimensat(parent, cname, timesOf(attributes.mtime), AT.SYMLINK_NOFOLLOW), 'utimensat', at)
}

/** What `settle` has written, read back; xattrs stay on disk. */
export function readBack(parent: number, name: string, stat: Stat): Pick<Directory, 'opaque' | 'attributes'> {
  const path = pathTo(parent, name)
  const opaque = lgetxattr(path, OPAQUE, value, value.length) === 1 && value[0] === YES[0]
  const seconds = Number(stat.mtimeNs / 1_000_000_000n)
  const mtime = { seconds, nanoseconds: Number(stat.mtimeNs % 1_000_000_000n) }
  const mode = stat.mode & 0o7777
  if ((mode & SETGID) !== 0) check(lchmodat(parent, cstrLatin1(name), mode & ~SETGID), 'fchmodat2', name)
  return { opaque, attributes: { mode, uid: stat.uid, gid: stat.gid, mtime, xattrs: takeDefaultAcl(path) } }
}

function takeDefaultAcl(path: Buffer): Xattr[] {
  const length = lgetxattr(path, cstr(DEFAULT_ACL), value, value.length)
  if (length <= 0) return []
  check(lremovexattr(path, cstr(DEFAULT_ACL)), 'lremovexattr')
  return [{ name: DEFAULT_ACL, value: Buffer.from(value.subarray(0, length)) }]
}

/** A path for the calls that take no directory; it leads through our own descriptor to one name. */
const pathTo = (parent: number, name: string): Buffer => cstr(Buffer.from(`/proc/self/fd/${parent}/${name}`, 'latin1'))
