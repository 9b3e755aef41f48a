/** What the kernel and the store's file system can do, tried in a directory that is gone again afterwards. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, fail, failureOf } from '../failure/failure.ts'
import { AT, check, close, cstr, lsetxattr, mknodat, O, openat, openat2, RESOLVE, S, syncfs, wrap } from '../sys/libc.ts'
import { mountOverlay, unmount } from '../sys/mount.ts'
import { bad, type Finding, ok } from './finding.ts'

const getdents64 = wrap<[fd: number, into: Buffer, size: number]>('getdents64', 'int64', ['int', 'void *', 'size_t'])

/** readdir(3). */
const DT_UNKNOWN = 0

/** `dir` is on the file system of the store. */
export function kernelFindings(dir: string): readonly Finding[] {
  let place: string
  try {
    place = mkdtempSync(join(dir, '.windlass-doctor-'))
  } catch (error) {
    return [bad('kernel', `nothing can be tried below ${dir}: ${describe(failureOf(error))}`)]
  }
  const tryOut = (what: string, advice: string, work: () => void): Finding => {
    try {
      work()
      return ok('kernel', what)
    } catch (error) {
      return bad('kernel', `${what}: no (${describe(failureOf(error))}); ${advice}`)
    }
  }
  const at = (name: string): string => join(place, name)
  try {
    return [
      tryOut(
        'paths are resolved below a directory (openat2)',
        'Linux 5.6 or newer is needed, and a seccomp profile that allows it',
        () => openBelow(place),
      ),
      tryOut(
        'whiteouts (character device 0:0)',
        'choose a rootDir on ext4 or xfs, without nodev-only mounts that forbid mknod',
        () => check(mknodat(AT.FDCWD, cstr(at('whiteout')), S.IFCHR, 0), 'mknod'),
      ),
      tryOut('trusted extended attributes', 'choose a rootDir on ext4 or xfs, and run it with CAP_SYS_ADMIN', () => {
        mkdirSync(at('opaque'))
        check(lsetxattr(cstr(at('opaque')), cstr('trusted.overlay.opaque'), Buffer.from('y'), 1, 0), 'lsetxattr')
      }),
      tryOut('files are made durable at once (syncfs)', 'without it no image can be published', () => sync(place)),
      tryOut('overlay mounts', `${overlayAdvice()}; a rootDir that is itself on overlay cannot be one`, () => overlay(at)),
      tryOut(
        'directories tell the types of their entries (d_type)',
        'make the file system anew with ftype=1 (xfs), or on ext4',
        () => entryTypes(at),
      ),
      tryOut('renames', 'choose a rootDir on a local disk', () => {
        mkdirSync(at('tree'))
        renameSync(at('tree'), at('renamed'))
      }),
    ]
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

function openBelow(place: string): void {
  const dir = check(openat(AT.FDCWD, cstr(place), O.RDONLY | O.DIRECTORY | O.CLOEXEC, 0), 'openat')
  try {
    close(check(openat2(dir, cstr('.'), O.RDONLY | O.DIRECTORY | O.CLOEXEC, 0, RESOLVE.IN_ROOT), 'openat2'))
  } finally {
    close(dir)
  }
}

function sync(place: string): void {
  const dir = check(openat(AT.FDCWD, cstr(place), O.RDONLY | O.DIRECTORY | O.CLOEXEC, 0), 'openat')
  try {
    check(syncfs(dir), 'syncfs')
  } finally {
    close(dir)
  }
}

function overlay(at: (name: string) => string): void {
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(at(name))
  writeFileSync(at('lower/file'), '')
  mountOverlay({ target: at('merged'), base: at('.'), lower: ['lower'], writable: { upper: at('upper'), work: at('work') } })
  unmount(at('merged'))
}

function entryTypes(at: (name: string) => string): void {
  mkdirSync(at('entries'))
  mkdirSync(at('entries/directory'))
  const dir = check(openat(AT.FDCWD, cstr(at('entries')), O.RDONLY | O.DIRECTORY | O.CLOEXEC, 0), 'openat')
  try {
    const entries = Buffer.alloc(4_096)
    const length = check(getdents64(dir, entries, entries.length), 'getdents64')
    for (let next = 0; next < length; next += entries.readUInt16LE(next + 16))
      if (entries[next + 18] === DT_UNKNOWN)
        fail({ kind: 'unsupported', what: 'file system', mediaType: 'without entry types', hint: 'overlay needs them' })
  } finally {
    close(dir)
  }
}

const overlayAdvice = (): string =>
  /^nodev\toverlay$/m.test(readFileSync('/proc/filesystems', 'utf8'))
    ? 'this process may not mount, or this file system cannot be one of its layers'
    : 'the kernel has no overlay yet: modprobe overlay'
