import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AT, check, cstr, fgetxattr, fsetxattr, mkdirat, O, openat } from '../../src/sys/libc.ts'
import {
  copyDirectoryAttributes,
  Descriptor,
  emptyDirectory,
  isOpaque,
  measureTree,
  openDirectory,
  removeTree,
} from '../../src/sys/tree.ts'

let top: string
beforeEach(() => {
  top = mkdtempSync(join(os.tmpdir(), 'windlass-tree-'))
})
afterEach(() => {
  execFileSync('rm', ['-rf', top])
})

const at = (path: string): Buffer => cstr(join(top, path))

/** Makes `levels` directories, each inside the one before, with a file in every one; a path to the last would be too long to say. */
function makeDeep(name: string, levels: number): void {
  mkdirSync(join(top, name))
  let current = openDirectory(AT.FDCWD, at(name))
  for (let i = 0; i < levels; i++) {
    check(mkdirat(current.fd, cstr('d'), 0o755), 'mkdirat')
    using file = new Descriptor(check(openat(current.fd, cstr('f'), O.CREAT | O.WRONLY, 0o600), 'openat'))
    expect(file.fd).toBeGreaterThan(2)
    const next = openDirectory(current.fd, cstr('d'))
    current[Symbol.dispose]()
    current = next
  }
  current[Symbol.dispose]()
}

const openFiles = (): number => readdirSync('/proc/self/fd').length

describe('removeTree', () => {
  test('removes a tree deeper than PATH_MAX, holding few descriptors', () => {
    makeDeep('deep', 6000)
    const before = openFiles()
    let most = 0
    let asked = 0
    const watch = (): boolean => {
      if (asked++ % 37 === 0) most = Math.max(most, openFiles())
      return true
    }
    expect(removeTree(AT.FDCWD, at('deep'), watch)).toBe(true)
    expect(existsSync(join(top, 'deep'))).toBe(false)
    expect(most - before).toBeLessThan(40)
    expect(openFiles()).toBe(before)
  })

  test('removes names that are not UTF-8 and every kind of file, and follows no symlink', () => {
    mkdirSync(join(top, 'victim'))
    writeFileSync(join(top, 'victim/keep'), 'kept')
    mkdirSync(join(top, 'tree/sub'), { recursive: true })
    for (const name of [
      Buffer.from([0xff, 0xfe, 0x0a]),
      Buffer.from('new\nline'),
      Buffer.from('.deep-0'),
      Buffer.alloc(255, 0xe4),
    ]) {
      writeFileSync(Buffer.concat([Buffer.from(join(top, 'tree/sub/')), name]), 'x')
    }
    symlinkSync('../../victim', join(top, 'tree/sub/link'))
    symlinkSync('nowhere', join(top, 'tree/dangling'))
    execFileSync('mkfifo', [join(top, 'tree/fifo')])
    mkdirSync(join(top, 'tree/closed'), { mode: 0 })
    removeTree(AT.FDCWD, at('tree'))
    expect(readdirSync(top)).toEqual(['victim'])
    expect(readdirSync(join(top, 'victim'))).toEqual(['keep'])
  })

  test('removes a symlink to a directory and not the directory', () => {
    mkdirSync(join(top, 'victim'))
    symlinkSync('victim', join(top, 'link'))
    removeTree(AT.FDCWD, at('link'))
    expect(readdirSync(top)).toEqual(['victim'])
  })

  test('removes wide directories, thousands below the depth where entries are moved up', () => {
    const bottom = join(top, 'wide', ...Array.from({ length: 30 }, () => 'd'))
    for (let i = 0; i < 500; i++) mkdirSync(join(bottom, `w${i}/x`), { recursive: true })
    for (let i = 0; i < 2000; i++) writeFileSync(join(bottom, `f${i}`), '')
    removeTree(AT.FDCWD, at('wide'))
    expect(readdirSync(top)).toEqual([])
  })

  test('finds nothing wrong with what is not there', () => {
    expect(removeTree(AT.FDCWD, at('none'))).toBe(true)
  })

  test('stops when it is told to and goes on later', () => {
    for (let i = 0; i < 100; i++) mkdirSync(join(top, `tree/d${i}/e`), { recursive: true })
    let left = 50
    expect(removeTree(AT.FDCWD, at('tree'), () => left-- > 0)).toBe(false)
    expect(readdirSync(join(top, 'tree')).length).toBeGreaterThan(0)
    expect(removeTree(AT.FDCWD, at('tree'))).toBe(true)
    expect(readdirSync(top)).toEqual([])
  })
})

test('emptyDirectory leaves the directory itself, and nothing in it from any depth', () => {
  makeDeep('trash', 200)
  expect(emptyDirectory(AT.FDCWD, at('trash'))).toBe(true)
  expect(readdirSync(join(top, 'trash'))).toEqual([])
})

test('measureTree counts what du counts, hard links once', () => {
  mkdirSync(join(top, 'tree/a/b'), { recursive: true })
  writeFileSync(join(top, 'tree/a/file'), Buffer.alloc(100_000, 1))
  linkSync(join(top, 'tree/a/file'), join(top, 'tree/a/b/again'))
  symlinkSync('x'.repeat(200), join(top, 'tree/link'))
  const [bytes] = execFileSync('du', ['-s', '--block-size=1', join(top, 'tree')], { encoding: 'utf8' }).split('\t')
  expect(measureTree(AT.FDCWD, at('tree'))).toEqual({ bytes: Number(bytes), inodes: 5 })
})

test('measureTree goes as deep as there is and closes what it opened', () => {
  makeDeep('deep', 3000)
  const before = openFiles()
  expect(measureTree(AT.FDCWD, at('deep')).inodes).toBe(6001)
  expect(openFiles()).toBe(before)
})

describe.skipIf(process.getuid?.() !== 0)('copyDirectoryAttributes (needs root)', () => {
  test('copies owner, mode, time and xattrs, but no mark of overlay', () => {
    mkdirSync(join(top, 'from'))
    mkdirSync(join(top, 'to'))
    execFileSync('chown', ['12:34', join(top, 'from')])
    chmodSync(join(top, 'from'), 0o3775)
    using from = openDirectory(AT.FDCWD, at('from'))
    using to = openDirectory(AT.FDCWD, at('to'))
    const bytes = Buffer.from([1, 0, 255, 10])
    check(fsetxattr(from.fd, cstr('user.bytes'), bytes, bytes.length, 0), 'fsetxattr')
    check(fsetxattr(from.fd, cstr('trusted.overlay.opaque'), Buffer.from('y'), 1, 0), 'fsetxattr')
    utimesSync(join(top, 'from'), -5.25, -5.25)
    copyDirectoryAttributes(from.fd, to.fd)
    const [a, b] = [lstatSync(join(top, 'from'), { bigint: true }), lstatSync(join(top, 'to'), { bigint: true })]
    expect([b.mode, b.uid, b.gid, b.mtimeNs]).toEqual([a.mode, a.uid, a.gid, a.mtimeNs])
    expect(statSync(join(top, 'to')).mode & 0o7777).toBe(0o3775)
    const value = Buffer.alloc(16)
    expect(value.subarray(0, check(fgetxattr(to.fd, cstr('user.bytes'), value, 16), 'fgetxattr'))).toEqual(bytes)
    expect([isOpaque(from.fd), isOpaque(to.fd)]).toEqual([true, false])
  })
})
