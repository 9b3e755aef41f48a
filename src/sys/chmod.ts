/** chmod below a directory descriptor that never follows a symlink, which fchmodat(2) by itself always does. */
import { AT, close, cstr, ENOSYS, EOPNOTSUPP, EPERM, fchmodat, fstat, O, openat, S, wrap } from './libc.ts'

/** linux 6.6; the same number everywhere. */
const FCHMODAT2 = 452
const syscall = wrap<[number: number, dir: number, name: Buffer, mode: number, flags: number]>('syscall', 'int64', [
  'int64',
  'int64',
  'void *',
  'int64',
  'int64',
])
let hasCall = true

/** As the calls of libc.ts: 0, or −errno; EOPNOTSUPP for a symlink. */
export function lchmodat(dir: number, name: Buffer, mode: number): number {
  if (hasCall) {
    const result = syscall(FCHMODAT2, dir, name, mode, AT.SYMLINK_NOFOLLOW)
    // Some sandboxes answer EPERM to a call they do not know; where it is meant, the other way says so too.
    if (result !== -ENOSYS && result !== -EPERM) return result
    if (result === -ENOSYS) hasCall = false
  }
  return throughDescriptor(dir, name, mode)
}

/** For older kernels: what was opened is what is changed, whatever lies under the name by now. */
export function throughDescriptor(dir: number, name: Buffer, mode: number): number {
  const fd = openat(dir, name, O.PATH | O.NOFOLLOW | O.CLOEXEC, 0)
  if (fd < 0) return fd
  try {
    const stat = fstat(fd)
    if (typeof stat === 'number') return stat
    if ((stat.mode & S.IFMT) === S.IFLNK) return -EOPNOTSUPP
    return fchmodat(AT.FDCWD, cstr(`/proc/self/fd/${fd}`), mode, 0)
  } finally {
    close(fd)
  }
}
