/** T6–T8, T57: hard links. */
import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { TarPart } from '../../support/tar.ts'
import { badLayer, isRoot, useCorpus } from './corpus.ts'

describe.skipIf(!isRoot)('hard links', () => {
  const { lab, diffOf, refusalOf } = useCorpus()

  it('T6 reach only into the layer: through .., an absolute name, a symlink', async () => {
    const diff = await diffOf([
      { name: 'victim/precious', content: 'the layer’s own' },
      { name: 'root', type: 'symlink', link: '/' },
      { name: 'outside', type: 'symlink', link: '../../victim' },
      { name: 'a', type: 'hardlink', link: '../../victim/precious' },
      { name: 'b', type: 'hardlink', link: '/victim/precious' },
      { name: 'c', type: 'hardlink', link: 'root/victim/precious' },
      { name: 'd', type: 'hardlink', link: 'outside/precious' },
    ])
    expect(statSync(`${diff}/victim/precious`).nlink).toBe(5)
    expect(readFileSync(`${diff}/d`, 'utf8')).toBe('the layer’s own')
  })

  it('T6 to what lies outside find nothing', async () => {
    for (const link of ['../../victim/precious', `${lab().victim}/precious`, '/etc/passwd', 'out/precious'])
      expect(
        await refusalOf([
          { name: 'out', type: 'symlink', link: lab().victim },
          { name: 'a', type: 'hardlink', link },
        ]),
      ).toMatchObject(badLayer)
  })

  it('T7 to a symlink link the symlink, and nothing is changed through it', async () => {
    const { victim } = lab()
    const diff = await diffOf([
      { name: 'pointer', type: 'symlink', link: `${victim}/setuid` },
      { name: 'd', type: 'hardlink', link: 'pointer', mode: 0o777, uid: 3, gid: 4, mtime: 12_345, xattrs: { 'user.x': 'x' } },
    ])
    expect(readlinkSync(`${diff}/d`)).toBe(`${victim}/setuid`)
    expect(lstatSync(`${diff}/pointer`)).toMatchObject({ nlink: 2, uid: 3, gid: 4, mtimeMs: 12_345_000 })
  })

  it.each([
    ['before their target', [{ name: 'a', type: 'hardlink', link: 'b' }, { name: 'b' }]],
    ['to themselves', [{ name: 'a' }, { name: 'a', type: 'hardlink', link: 'a' }]],
    ['to themselves by another name', [{ name: 'd/a' }, { name: 'd/a', type: 'hardlink', link: '/d/./x/../a' }]],
    [
      'to a directory',
      [
        { name: 'd/', type: 'dir' },
        { name: 'a', type: 'hardlink', link: 'd' },
      ],
    ],
    ['to the root', [{ name: 'a', type: 'hardlink', link: '/' }]],
  ] satisfies [string, TarPart[]][])('T8 %s fail cleanly', async (_what, parts) => {
    expect(await refusalOf(parts)).toMatchObject(badLayer)
  })

  it('T57 speak for the inode: mode, owner, times, xattrs', async () => {
    const diff = await diffOf([
      { name: 'f', content: 'x', mode: 0o4755, uid: 1 },
      { name: 'l', type: 'hardlink', link: 'f', mode: 0o711, uid: 2, mtime: 5 },
    ])
    expect(statSync(`${diff}/f`)).toMatchObject({ mode: 0o100711, uid: 2, nlink: 2, mtimeMs: 5_000 })
  })
})
