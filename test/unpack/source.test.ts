import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AT, cstr, EROFS, fchmodat, lstatat, mknodat, S } from '../../src/sys/libc.ts'
import { openSource } from '../../src/unpack/source.ts'
import { isRoot } from './corpus/corpus.ts'
import { diffIdOf } from './lab.ts'

/** A staged layer below `staging`, beside a secret. */
async function staged() {
  const temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-source-'))
  const [staging, outside] = [join(temporary.path, 'staging'), join(temporary.path, 'outside')]
  const dir = join(staging, 'layer')
  for (const path of [join(dir, 'diff'), join(outside, 'diff')]) mkdirSync(path, { recursive: true })
  writeFileSync(join(dir, 'tar-split.gz'), 'its own')
  writeFileSync(join(outside, 'tar-split.gz'), 'a secret')
  const open = () => {
    const source = { kind: 'local', diff: join(dir, 'diff'), tarSplit: join(dir, 'tar-split.gz') } as const
    return openSource({ diffId: diffIdOf(Buffer.from('x')), source }, { staging })
  }
  return { dir, staging, outside, open, [Symbol.asyncDispose]: () => temporary.remove() }
}

const refusal = expect.objectContaining({ failure: expect.objectContaining({ kind: 'digest-mismatch' }) })

describe.skipIf(!isRoot)('a copy on this node', () => {
  it('is handed out without a way up, and nothing in it can be changed', async () => {
    await using layer = await staged()
    using source = layer.open()
    const [diff = -1] = source.fds
    const inodeOf = (dir: number, path: string): bigint => {
      const stat = lstatat(dir, cstr(path))
      return typeof stat === 'number' ? expect.fail(`${path}: ${stat}`) : stat.ino
    }
    expect(inodeOf(diff, '../../../../..')).toBe(inodeOf(AT.FDCWD, layer.staging))
    expect(fchmodat(diff, cstr('.'), 0o777, 0)).toBe(-EROFS)
  })

  it('that lies outside the territory is handed out as if nothing were above it', async () => {
    await using layer = await staged()
    const tree = join(layer.outside, 'diff')
    mkdirSync(join(tree, 'etc'))
    const source = { kind: 'local', diff: tree, tarSplit: join(layer.outside, 'tar-split.gz') } as const
    using opened = openSource({ diffId: diffIdOf(Buffer.from('x')), source }, { staging: layer.staging })
    const [diff = -1] = opened.fds
    const inodeOf = (dir: number, path: string): bigint => {
      const stat = lstatat(dir, cstr(path))
      return typeof stat === 'number' ? expect.fail(`${path}: ${stat}`) : stat.ino
    }
    expect(inodeOf(diff, '../../../../..')).toBe(inodeOf(AT.FDCWD, tree))
    expect(inodeOf(diff, 'etc')).toBe(inodeOf(AT.FDCWD, join(tree, 'etc')))
    expect(fchmodat(diff, cstr('etc'), 0o777, 0)).toBe(-EROFS)
  })

  it.each<readonly [string, (layer: { readonly dir: string; readonly outside: string }) => void]>([
    [
      'a symlink in the way',
      ({ dir, outside }) => {
        renameSync(dir, `${dir}-away`)
        symlinkSync(outside, dir)
      },
    ],
    [
      'a symlink for its tree',
      ({ dir, outside }) => {
        rmSync(join(dir, 'diff'), { recursive: true })
        symlinkSync(join(outside, 'diff'), join(dir, 'diff'))
      },
    ],
    [
      'a symlink for its tar-split',
      ({ dir, outside }) => {
        rmSync(join(dir, 'tar-split.gz'))
        symlinkSync(join(outside, 'tar-split.gz'), join(dir, 'tar-split.gz'))
      },
    ],
    [
      'a fifo for its tar-split',
      ({ dir }) => {
        rmSync(join(dir, 'tar-split.gz'))
        expect(mknodat(AT.FDCWD, cstr(join(dir, 'tar-split.gz')), S.IFIFO | 0o600, 0)).toBe(0)
      },
    ],
  ])('with %s is none', async (_what, attack) => {
    await using layer = await staged()
    attack(layer)
    expect(() => layer.open()).toThrow(refusal)
  })
})
