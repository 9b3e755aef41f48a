/** Directories that a layer's tar left out, seen through real overlay mounts: T15, T16, T54 of the extraction corpus and their neighbours. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLocalStore } from '../../../src/store/local/local.ts'
import type { Store, StoredLayer } from '../../../src/store/store.ts'
import { AT, check, cstr, fgetxattr, fsetxattr, mknodat, S } from '../../../src/sys/libc.ts'
import { openDirectory } from '../../../src/sys/tree.ts'
import { commitChain, type LayerSpec } from '../fixtures.ts'
import { temporaryRoot } from '../local/place.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('SKIPPED: implied directories over real overlay mounts need root')

/** A directory with attributes of its own. */
function directory(
  path: string,
  mode: number,
  { owner = 0, time = 1_000_000_000 }: { owner?: number; time?: number } = {},
): void {
  mkdirSync(path, { recursive: true })
  chownSync(path, owner, owner)
  chmodSync(path, mode)
  utimesSync(path, time, time)
}

function setXattr(path: string, name: string, value: string): void {
  using dir = openDirectory(AT.FDCWD, cstr(path))
  check(fsetxattr(dir.fd, cstr(name), Buffer.from(value), value.length, 0), 'fsetxattr', path)
}

function getXattr(path: string, name: string): string | undefined {
  using dir = openDirectory(AT.FDCWD, cstr(path))
  const value = Buffer.alloc(256)
  const length = fgetxattr(dir.fd, cstr(name), value, value.length)
  return length < 0 ? undefined : value.toString('utf8', 0, length)
}

const whiteout = (path: string): void => void check(mknodat(AT.FDCWD, cstr(path), S.IFCHR, 0), 'mknodat', path)
const makeOpaque = (path: string): void => setXattr(path, 'trusted.overlay.opaque', 'y')

/** A layer that holds only a file in each of these directories, which its tar does not list. */
const files = (name: string, implied: readonly string[]): LayerSpec => ({
  name,
  implied,
  write: (diff) => {
    for (const path of implied) {
      mkdirSync(join(diff, path), { recursive: true })
      writeFileSync(join(diff, path, name), name)
    }
  },
})
const attributes = (path: string): unknown => {
  const { mode, uid, gid, mtimeMs } = lstatSync(path)
  return { mode: (mode & 0o7777).toString(8), uid, gid, mtime: mtimeMs / 1000 }
}
const mode = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8)

describe.skipIf(!isRoot)('implied directories (needs root and overlay)', () => {
  let place: ReturnType<typeof temporaryRoot>
  let store: Store
  let mounted: string[]

  beforeEach(async () => {
    place = temporaryRoot()
    mounted = []
    store = await openLocalStore({ root: place.root }, { signal: new AbortController().signal })
  })
  afterEach(async () => {
    for (const target of mounted) {
      execFileSync('umount', [target])
      rmdirSync(target)
    }
    await store[Symbol.asyncDispose]()
    place[Symbol.dispose]()
  })

  /** Commits the layers, base first, and mounts them as a container would see them. */
  async function merge(...specs: readonly LayerSpec[]): Promise<{ merged: string; top: StoredLayer }> {
    const chain = await commitChain(store, specs)
    const top = chain.at(-1)
    if (top === undefined) throw new Error('no layers')
    const merged = mkdtempSync(join(os.tmpdir(), 'windlass-merged-'))
    const lower = chain.map(({ short }) => short).toReversed()
    execFileSync('mount', ['-t', 'overlay', 'test', '-o', `ro,lowerdir=${lower.join(':')}`, merged], { cwd: store.overlayDir })
    mounted.push(merged)
    return { merged, top }
  }

  test('T15: /tmp stays 1777 with its owner, xattrs and time; a directory nobody has is 0755 root', async () => {
    const base = (diff: string): void => {
      directory(join(diff, 'tmp'), 0o1777, { owner: 7 })
      setXattr(join(diff, 'tmp'), 'user.kept', 'yes')
      directory(join(diff, 'var/lib/app'), 0o2750, { owner: 9, time: 5 })
      directory(join(diff, 'var'), 0o711, { time: 6 })
    }
    const { merged } = await merge(
      { name: 'base', write: base },
      files('top', ['tmp', 'tmp/new', 'var', 'var/lib', 'var/lib/app', 'var/lib/app/deep']),
    )
    expect(readdirSync(join(merged, 'tmp')).toSorted()).toEqual(['new', 'top'])
    expect(attributes(join(merged, 'tmp'))).toEqual({ mode: '1777', uid: 7, gid: 7, mtime: 1_000_000_000 })
    expect(getXattr(join(merged, 'tmp'), 'user.kept')).toBe('yes')
    expect(attributes(join(merged, 'var'))).toEqual({ mode: '711', uid: 0, gid: 0, mtime: 6 })
    expect(attributes(join(merged, 'var/lib/app'))).toEqual({ mode: '2750', uid: 9, gid: 9, mtime: 5 })
    for (const fresh of ['tmp/new', 'var/lib/app/deep'])
      expect(attributes(join(merged, fresh))).toMatchObject({ mode: '755', uid: 0, gid: 0 })
  })

  test('the nearest layer that has the directory decides, through layers that have not', async () => {
    const { merged } = await merge(
      { name: 'base', write: (diff) => directory(join(diff, 'a/b'), 0o700) },
      {
        name: 'second',
        write: (diff) => {
          directory(join(diff, 'a/b'), 0o770)
          chmodSync(join(diff, 'a'), 0o710)
        },
      },
      { name: 'third' },
      files('fourth', ['a']),
      files('top', ['a', 'a/b']),
    )
    expect([mode(join(merged, 'a')), mode(join(merged, 'a/b'))]).toEqual(['710', '770'])
  })

  test('T16: what a whiteout removed lends nothing', async () => {
    const { merged } = await merge(
      {
        name: 'base',
        write: (diff) => {
          directory(join(diff, 'gone/sub'), 0o700)
          chmodSync(join(diff, 'gone'), 0o700)
        },
      },
      { name: 'remover', write: (diff) => whiteout(join(diff, 'gone')) },
      files('top', ['gone', 'gone/sub']),
    )
    expect([mode(join(merged, 'gone')), mode(join(merged, 'gone/sub'))]).toEqual(['755', '755'])
    expect(readdirSync(join(merged, 'gone/sub'))).toEqual(['top'])
  })

  test('an opaque directory lends its own attributes and hides those below it', async () => {
    const opaque = (diff: string): void => {
      directory(join(diff, 'dir'), 0o750)
      makeOpaque(join(diff, 'dir'))
    }
    const { merged, top } = await merge(
      { name: 'base', write: (diff) => directory(join(diff, 'dir/sub'), 0o700) },
      { name: 'opaque', write: opaque },
      files('top', ['dir', 'dir/sub']),
    )
    expect([mode(join(merged, 'dir')), mode(join(merged, 'dir/sub'))]).toEqual(['750', '755'])
    expect(getXattr(join(top.diff, 'dir'), 'trusted.overlay.opaque')).toBeUndefined()
  })

  test("the layer's own opaque directory hides everything below", async () => {
    const own = files('top', ['dir/sub'])
    const { merged } = await merge(
      { name: 'base', write: (diff) => directory(join(diff, 'dir/sub'), 0o700) },
      {
        ...own,
        write: (diff) => {
          own.write?.(diff)
          makeOpaque(join(diff, 'dir'))
        },
      },
    )
    expect(mode(join(merged, 'dir/sub'))).toBe('755')
    expect(readdirSync(join(merged, 'dir/sub'))).toEqual(['top'])
  })

  test('a file in the place of the directory, or above it, ends the search', async () => {
    const { merged } = await merge(
      {
        name: 'base',
        write: (diff) => {
          directory(join(diff, 'a'), 0o700)
          directory(join(diff, 'b/sub'), 0o700)
        },
      },
      {
        name: 'files',
        write: (diff) => {
          writeFileSync(join(diff, 'a'), '')
          writeFileSync(join(diff, 'b'), '')
        },
      },
      files('top', ['a', 'b', 'b/sub']),
    )
    expect(['a', 'b', 'b/sub'].map((path) => mode(join(merged, path)))).toEqual(['755', '755', '755'])
  })

  test('T54: a symlink below is followed inside its own layer and never out of it', async () => {
    const outside = join(place.root, '../outside')
    directory(outside, 0o700)
    const base = (diff: string): void => {
      directory(join(diff, 'usr/lib'), 0o751)
      symlinkSync('usr/lib', join(diff, 'lib'))
      symlinkSync('/usr/lib', join(diff, 'absolute'))
      symlinkSync(outside, join(diff, 'escape'))
      symlinkSync('../../../../../../usr/lib', join(diff, 'up'))
      symlinkSync('loop', join(diff, 'loop'))
    }
    const { merged } = await merge({ name: 'base', write: base }, files('top', ['lib', 'absolute', 'escape', 'up', 'loop']))
    expect(['lib', 'absolute', 'escape', 'up', 'loop'].map((path) => mode(join(merged, path)))).toEqual([
      '751',
      '751',
      '755',
      '751',
      '755',
    ])
  })

  test('names are bytes', async () => {
    const name = Buffer.from([0x64, 0xff, 0xfe])
    const within = (diff: string): Buffer => Buffer.concat([Buffer.from(`${diff}/`), name])
    const { top } = await merge(
      {
        name: 'base',
        write: (diff) => {
          mkdirSync(within(diff))
          chmodSync(within(diff), 0o1770)
        },
      },
      { name: 'top', write: (diff) => mkdirSync(within(diff)), implied: [name.toString('latin1')] },
    )
    expect(lstatSync(within(top.diff)).mode & 0o7777).toBe(0o1770)
  })

  test('a directory that became something else in the same layer is left alone', async () => {
    const { merged } = await merge(
      {
        name: 'base',
        write: (diff) => {
          directory(join(diff, 'a'), 0o700)
          directory(join(diff, 'c'), 0o700)
        },
      },
      {
        name: 'top',
        write: (diff) => {
          directory(join(diff, 'b'), 0o705)
          symlinkSync('b', join(diff, 'a'))
        },
        implied: ['a', 'c'],
      },
    )
    expect([mode(join(merged, 'b')), mode(join(merged, 'c'))]).toEqual(['705', '700'])
  })
})
