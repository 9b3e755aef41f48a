/** What the kernel and the store's file system can do, tried in a directory that is gone again afterwards. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, failureOf } from '../failure/failure.ts'
import { landlockVersion } from '../sys/confine.ts'
import { AT, check, close, cstr, lsetxattr, mknodat, O, openat, openat2, RESOLVE, S, syncfs } from '../sys/libc.ts'
import { mountOverlay, unmount } from '../sys/mount.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

/** Below this, links between directories would be refused to extractors (landlock(7), LANDLOCK_ACCESS_FS_REFER). */
const LANDLOCK_REFER = 2

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
      tryOut('overlay mounts', 'load the module (modprobe overlay); a rootDir that is itself on overlay cannot be one', () =>
        overlay(at),
      ),
      confinement(),
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

function confinement(): Finding {
  const version = landlockVersion()
  return version >= LANDLOCK_REFER
    ? ok('kernel', `extractors are confined to their files (Landlock ${version})`)
    : warn('kernel', 'extractors are not confined to their files: Landlock of Linux 5.19 or newer is needed, and enabled in lsm=')
}
