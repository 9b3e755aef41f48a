import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { failureOf } from '../../src/failure/failure.ts'
import { check, cstr, lsetxattr } from '../../src/sys/libc.ts'
import {
  isOurMount,
  mountByContext,
  mountByOptions,
  mountOverlay,
  mountsAt,
  type OverlayMount,
  unmount,
} from '../../src/sys/mount.ts'

const root = process.getuid?.() === 0
if (!root) console.warn('skipped: mounting needs root')

let temporary: ReturnType<typeof mkdtempDisposableSync>
let base: string
let target: string

beforeEach(() => {
  temporary = mkdtempDisposableSync(join(realpathSync(tmpdir()), 'windlass-mount-'))
  base = join(temporary.path, 'overlay')
  target = join(temporary.path, 'target')
  mkdirSync(base)
  mkdirSync(target)
})
afterEach(() => {
  while (isOurMount(target)) unmount(target)
  temporary.remove()
})

/** Layers l/00 … each with a file of its own and one file that all have; base first. */
function layers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const short = `l/${String(i).padStart(26, '0')}`
    mkdirSync(join(base, short), { recursive: true })
    writeFileSync(join(base, short, `only-${i}`), String(i))
    writeFileSync(join(base, short, 'shared'), String(i))
    return short
  })
}
const topFirst = (shorts: readonly string[]) => shorts.toReversed()

const ways: readonly (readonly [string, (mount: OverlayMount) => void])[] = [
  ['lowerdir+', (mount) => void expect(mountByContext(mount), 'this kernel has no lowerdir+').toBe(true)],
  ['mount(2)', mountByOptions],
  ['whichever there is', mountOverlay],
]

describe.runIf(root).each(ways)('overlay by %s', (_name, mount) => {
  test.each([0, 1, 2, 127])('%i layers, read-only', (count) => {
    const before = process.cwd()
    mount({ target, base, lower: topFirst(layers(count)) })
    expect(process.cwd()).toBe(before)
    expect(existsSync('/proc/self/cwd') && realpathSync('/proc/self/cwd')).toBe(before)
    expect(readdirSync(target).length).toBe(count === 0 ? 0 : count + 1)
    if (count > 0) expect(readFileSync(join(target, 'shared'), 'utf8')).toBe(String(count - 1))
    expect(() => writeFileSync(join(target, 'new'), '')).toThrow('EROFS')
    expect(mountsAt(target)).toEqual([{ target, type: 'overlay', source: 'windlass' }])
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain('tmpfs windlass')
    expect(
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .find((line) => line.includes(target)),
    ).toMatch(/ ro,nosuid,nodev/)
    unmount(target)
    expect(mountsAt(target)).toEqual([])
  })

  test('whiteouts and opaque directories are seen through', () => {
    const [lower = '', upper = ''] = layers(2)
    for (const name of ['kept', 'gone', 'dir']) mkdirSync(join(base, lower, name))
    writeFileSync(join(base, lower, 'dir', 'below'), '')
    execFileSync('mknod', [join(base, upper, 'gone'), 'c', '0', '0'])
    mkdirSync(join(base, upper, 'dir'))
    check(lsetxattr(cstr(join(base, upper, 'dir')), cstr('trusted.overlay.opaque'), Buffer.from('y'), 1, 0), 'lsetxattr')
    mount({ target, base, lower: [upper, lower] })
    expect(readdirSync(target).toSorted()).toEqual(['dir', 'kept', 'only-0', 'only-1', 'shared'])
    expect(readdirSync(join(target, 'dir'))).toEqual([])
  })

  test.each([['upper'], ['up,per: "odd" \\ name'], ['u'.repeat(200)]])('writes go to the upper directory %.30s', (name) => {
    const writable = { upper: join(temporary.path, name, 'x'.repeat(100)), work: join(temporary.path, name, 'work') }
    mkdirSync(writable.upper, { recursive: true })
    mkdirSync(writable.work)
    mount({ target, base, lower: topFirst(layers(3)), writable })
    writeFileSync(join(target, 'new'), 'new')
    expect(readdirSync(writable.upper)).toEqual(['new'])
    expect(readFileSync(join(target, 'only-0'), 'utf8')).toBe('0')
  })

  test('a missing layer is named, and nothing is mounted', () => {
    const failure = (() => {
      try {
        mount({ target, base, lower: ['l/absent', ...topFirst(layers(2))] })
      } catch (error) {
        return failureOf(error)
      }
      return undefined
    })()
    expect(failure).toMatchObject({ kind: 'system', path: target, code: 'ENOENT' })
    expect(mountsAt(target)).toEqual([])
  })
})

test.runIf(root)('more layers than a page of options holds: refused in words, not cut off', () => {
  const lower = topFirst(layers(150))
  expect(() => mountByOptions({ target, base, lower })).toThrow('150 layers do not fit a page of mount options')
  expect(mountByContext({ target, base, lower })).toBe(true)
  expect(statSync(join(target, 'only-149')).size).toBe(3)
})

test.runIf(root)('a mount at a path with blanks is found, and one that is busy stays', () => {
  const odd = join(temporary.path, 'with blank\tand tab')
  mkdirSync(odd)
  mountOverlay({ target: odd, base, lower: topFirst(layers(2)) })
  expect(isOurMount(odd)).toBe(true)
  expect(isOurMount(temporary.path)).toBe(false)
  unmount(odd)
  expect(() => unmount(odd)).toThrow('EINVAL')
})
