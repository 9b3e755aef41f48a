/** T1–T5, T9–T12, T47, T56: where names lead. `../../victim` is where an escape would arrive. */
import { existsSync, lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { AT, cstr } from '../../../src/sys/libc.ts'
import { removeTree } from '../../../src/sys/tree.ts'
import type { TarPart } from '../../support/tar.ts'
import { namesIn } from '../lab.ts'
import { badLayer, isRoot, isWhiteout, useCorpus } from './corpus.ts'

describe.skipIf(!isRoot)('names', () => {
  const { lab, diffOf, unpack, refusalOf } = useCorpus()

  it.each([
    ['T1 a climbing name', '../x'],
    ['T1 an absolute climbing name', '/../x'],
    ['T1 climbing out of a directory', 'a/../../x'],
    ['T1 climbing far', '../../../../../../x'],
    ['T2 an absolute name', '/x'],
    ['T2 a name from here', './x'],
    ['T2 a doubled slash', './/x'],
    ['T2 two slashes first', '//x'],
  ])('%s stays inside', async (_row, name) => {
    const diff = await diffOf([{ name, content: 'inside' }])
    expect(readFileSync(`${diff}/x`, 'utf8')).toBe('inside')
    expect(namesIn(diff)).toEqual(['x'])
  })

  it('T1 a bare .. is the root, which is left as it is', async () => {
    expect(
      namesIn(
        await diffOf([
          { name: '..', content: 'skipped' },
          { name: '../', type: 'dir', mode: 0 },
        ]),
      ),
    ).toEqual([])
  })

  it('T3 through a symlink to the outside, writing, deleting and hiding stay inside', async () => {
    for (const link of ['../../victim', lab().victim]) {
      const diff = await diffOf([
        { name: 'out', type: 'symlink', link },
        { name: 'out/precious', content: 'pwned' },
        { name: 'out/nested/', type: 'dir', mode: 0 },
        { name: 'out/.wh.link' },
        { name: 'out/nested/.wh..wh..opq' },
      ])
      const inside = link.startsWith('/') ? `${diff}${link}` : `${diff}/victim`
      expect(readFileSync(`${inside}/precious`, 'utf8')).toBe('pwned')
      expect(isWhiteout(`${inside}/link`)).toBe(true)
      expect(statSync(`${inside}/nested`).mode & 0o777).toBe(0)
    }
  })

  it('T4 two hops get no further than one', async () => {
    const diff = await diffOf([
      { name: 'go_up', type: 'symlink', link: '..' },
      { name: 'escape', type: 'symlink', link: 'go_up/../../victim' },
      { name: 'escape/precious', content: 'pwned' },
    ])
    expect(readFileSync(`${diff}/victim/precious`, 'utf8')).toBe('pwned')
  })

  it('T5 a sibling that shares a prefix is not inside', async () => {
    const diff = await diffOf([
      { name: '../diff-evil/x', content: 'x' },
      { name: 'l', type: 'symlink', link: '../diff-evil' },
      { name: 'l/y', content: 'y' },
    ])
    expect(namesIn(`${diff}/diff-evil`)).toEqual(['x', 'y'])
    expect(existsSync(`${diff}-evil`)).toBe(false)
  })

  it.each(['/.', '', '..', './', '/'])('T9 a symlink named %j is ignored', async (name) => {
    const diff = await diffOf([
      { name, type: 'symlink', link: '../../victim' },
      { name: 'x', content: 'x' },
    ])
    expect(lstatSync(diff).isDirectory()).toBe(true)
    expect(namesIn(diff)).toEqual(['x'])
  })

  it('T10 the root entry does not set the root', async () => {
    const diff = await diffOf([{ name: './', type: 'dir', mode: 0o700, uid: 5, gid: 5, xattrs: { 'user.x': 'x' } }])
    expect(statSync(diff)).toMatchObject({ uid: 0, gid: 0, mode: 0o40755 })
  })

  it('T11 the last entry of a name wins, and directories merge', async () => {
    const diff = await diffOf([
      { name: 'a/', type: 'dir', mode: 0o700 },
      { name: 'a/kept' },
      { name: 'a/', type: 'dir', mode: 0o711, uid: 7 },
      { name: 'b/', type: 'dir' },
      { name: 'b/deep/er', content: 'gone' },
      { name: 'b', content: 'a file now' },
      { name: 'c', type: 'symlink', link: 'a' },
      { name: 'c/', type: 'dir' },
      { name: 'c/inside' },
      { name: 'd', content: 'old' },
      { name: 'd', content: 'new' },
      { name: 'b', type: 'symlink', link: 'd' },
      { name: 'e', type: 'fifo' },
      { name: 'e/', type: 'dir' },
      { name: 'e', content: 'file' },
    ])
    expect(namesIn(diff)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(statSync(`${diff}/a`)).toMatchObject({ mode: 0o40711, uid: 7 })
    expect(namesIn(`${diff}/a`)).toEqual(['kept'])
    expect(readlinkSync(`${diff}/b`)).toBe('d')
    expect(namesIn(`${diff}/c`)).toEqual(['inside'])
    expect(readFileSync(`${diff}/d`, 'utf8')).toBe('new')
    expect(readFileSync(`${diff}/e`, 'utf8')).toBe('file')
  })

  it.each([
    ['a file', { name: 'f' }],
    ['a fifo', { name: 'f', type: 'fifo' }],
    ['a symlink to a file', { name: 'f', type: 'symlink', link: 'real' }],
  ] satisfies [string, TarPart][])('T12 a child of %s is refused', async (_what, parent) => {
    for (const child of ['f/child', 'f/.wh.child', 'f/deeper/child'])
      expect(await refusalOf([{ name: 'real' }, parent, { name: child }])).toMatchObject(badLayer)
  })

  it('T47 a name of 255 bytes is made, of 256 refused', async () => {
    const name = 'x'.repeat(255)
    expect(namesIn(await diffOf([{ name }]))).toEqual([name])
    for (const parts of [
      [{ name: 'x'.repeat(256) }],
      [{ name: `${'x'.repeat(256)}/`, type: 'dir' }],
      [{ name: `${'x'.repeat(256)}/f` }],
      [{ name: 's', type: 'symlink', link: 'x'.repeat(256) }, { name: 's/f' }],
    ] satisfies TarPart[][])
      expect(await refusalOf(parts)).toMatchObject({ ...badLayer, reason: expect.stringContaining('ENAMETOOLONG') })
  })

  it('T47 a path of 4,095 bytes is made and can be removed, a longer one is refused, by whatever way it comes', async () => {
    const { implied, diff } = await unpack([{ name: `${'d/'.repeat(2_000)}f` }, { name: 'd/beside' }])
    expect(implied.length).toBe(2_000)
    expect(removeTree(AT.FDCWD, cstr(diff))).toBe(true)
    expect(existsSync(diff)).toBe(false)
    const long = { ...badLayer, reason: expect.stringContaining('ENAMETOOLONG') }
    expect(await refusalOf([{ name: `${'d/'.repeat(500_000)}f` }])).toMatchObject(long)
    const hop: TarPart[] = Array.from({ length: 20 }, (_, i) => ({
      name: `s${i}`,
      type: 'symlink',
      link: `${i === 0 ? '' : `s${i - 1}/`}${'d/'.repeat(250)}`,
    }))
    expect(await refusalOf([...hop, { name: 's19/f' }])).toMatchObject(long)
  })

  it('T56 missing parents are made where a symlink points, inside the root', async () => {
    const diff = await diffOf([
      { name: 'dang', type: 'symlink', link: '/not/there' },
      { name: 'dang/x', content: 'x' },
      { name: 'up', type: 'symlink', link: '../../victim/new' },
      { name: 'up/y', content: 'y' },
    ])
    expect(readFileSync(`${diff}/not/there/x`, 'utf8')).toBe('x')
    expect(readFileSync(`${diff}/victim/new/y`, 'utf8')).toBe('y')
    expect(await refusalOf([{ name: 'loop', type: 'symlink', link: 'loop' }, { name: 'loop/x' }])).toMatchObject(badLayer)
  })
})
