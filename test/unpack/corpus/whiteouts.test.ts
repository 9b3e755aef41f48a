/** T13, T14, T16–T24: whiteouts and opaque marks, in one layer's tree. What they do to a merged tree is in merged.test.ts. */
import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { TarPart } from '../../support/tar.ts'
import { namesIn } from '../lab.ts'
import { badLayer, isOpaque, isRoot, isWhiteout, orders, useCorpus } from './corpus.ts'

describe.skipIf(!isRoot)('whiteouts', () => {
  const { unpack, diffOf, refusalOf } = useCorpus()

  it.each(['.wh.', 'd/.wh.', 'd/.wh..', 'd/.wh...', '.wh..'])('T13 %s is refused', async (name) => {
    expect(await refusalOf([{ name: 'd/', type: 'dir' }, { name }])).toMatchObject(badLayer)
  })

  it('T14 a directory may be named like a whiteout', async () => {
    const diff = await diffOf([{ name: '.wh.etc/file', content: 'x' }])
    expect(readFileSync(`${diff}/.wh.etc/file`, 'utf8')).toBe('x')
  })

  it('T16 a whiteout is a device 0:0 that belongs to root, whatever its header says', async () => {
    const { diff, layer, implied } = await unpack([
      { name: 'etc/.wh.gone', mode: 0o777, uid: 5, content: 'a body means nothing' },
    ])
    expect(isWhiteout(`${diff}/etc/gone`)).toBe(true)
    expect(lstatSync(`${diff}/etc/gone`).uid).toBe(0)
    expect(layer.whiteouts).toBe(1)
    expect(implied).toEqual(['etc'])
  })

  it('T17 a file stays beside its own whiteout', async () => {
    for (const parts of orders<TarPart>([{ name: 'foo', content: 'x' }, { name: '.wh.foo' }])) {
      const diff = await diffOf(parts)
      expect(readFileSync(`${diff}/foo`, 'utf8')).toBe('x')
    }
  })

  it('T18 a whiteout may be said twice', async () => {
    const diff = await diffOf([{ name: '.wh.twice' }, { name: '.wh.twice' }])
    expect(isWhiteout(`${diff}/twice`)).toBe(true)
  })

  it('T19 a whiteout and a directory of that name make an opaque directory', async () => {
    for (const parts of orders<TarPart>([
      { name: 'foo/', type: 'dir' },
      { name: '.wh.foo' },
      { name: 'foo/new', content: 'x' },
    ])) {
      const diff = await diffOf(parts)
      expect(isOpaque(`${diff}/foo`)).toBe(true)
      expect(namesIn(`${diff}/foo`)).toEqual(['new'])
    }
  })

  it('T20 a whiteout below a whiteout is refused', async () => {
    expect(await refusalOf([{ name: '.wh.foo' }, { name: 'foo/.wh.bar' }])).toMatchObject(badLayer)
  })

  it('T21 an opaque mark means the same before, between and after entries', async () => {
    for (const parts of orders<TarPart>([
      { name: 'd/.wh..wh..opq' },
      { name: 'd/a' },
      { name: 'd/', type: 'dir', mode: 0o750 },
    ])) {
      const diff = await diffOf(parts)
      expect(isOpaque(`${diff}/d`)).toBe(true)
      expect(lstatSync(`${diff}/d`).mode & 0o777).toBe(0o750)
      expect(namesIn(`${diff}/d`)).toEqual(['a'])
    }
  })

  it('T21 opaque marks nest, make the directory they are in, mark the root; below a file they are refused', async () => {
    const diff = await diffOf([
      { name: 'a/b/.wh..wh..opq' },
      { name: 'a/.wh..wh..opq' },
      { name: '.wh..wh..opq' },
      { name: 'a/c/d' },
    ])
    expect(['', '/a', '/a/b', '/a/c'].map((path) => isOpaque(diff + path))).toEqual([true, true, true, false])
    expect(await refusalOf([{ name: 'f' }, { name: 'f/.wh..wh..opq' }])).toMatchObject(badLayer)
  })

  it('T22 a whiteout in an opaque directory, or below one, is left out, whatever the order', async () => {
    const parts: readonly TarPart[] = [
      { name: 'd/.wh..wh..opq' },
      { name: 'd/.wh.a' },
      { name: 'd/sub/.wh.b' },
      { name: 'd/sub/kept' },
    ]
    for (const order of orders(parts)) {
      const diff = await diffOf(order)
      expect(namesIn(`${diff}/d`)).toEqual(['sub'])
      expect(namesIn(`${diff}/d/sub`)).toEqual(['kept'])
    }
    const renamed = await diffOf([{ name: 'd/.wh.a' }, { name: '.wh.d' }, { name: 'd/x' }, { name: 'e/.wh.a' }])
    expect(namesIn(`${renamed}/d`)).toEqual(['x'])
    expect(isWhiteout(`${renamed}/e/a`)).toBe(true)
  })

  it('T23 files of aufs are left out, and the log says so', async () => {
    const { layer, diff } = await unpack([
      { name: '.wh..wh.plnk/', type: 'dir' },
      { name: '.wh..wh.plnk/99.0', content: 'a link of aufs' },
      { name: '.wh..wh.aufs', content: 'x' },
      { name: 'd/.wh..wh.orph/', type: 'dir' },
      { name: 'x' },
    ])
    expect(namesIn(diff)).toEqual(['x'])
    expect(layer.warnings.join()).toContain('aufs')
  })

  it('T24 a character device 0:0 acts as a whiteout, and the log says so', async () => {
    const { layer, diff } = await unpack([{ name: 'd/gone', type: 'char', devMajor: 0, devMinor: 0, mode: 0o600, uid: 7 }])
    expect(isWhiteout(`${diff}/d/gone`)).toBe(true)
    expect(lstatSync(`${diff}/d/gone`).uid).toBe(7)
    expect(layer.warnings.join()).toContain('0:0')
    expect(existsSync(`${diff}/d`)).toBe(true)
  })
})
