/** The tree writer beyond single rows of the corpus: directories whose records are forgotten and read back, and the process around it. */
import { lstatSync, readdirSync, statSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { TarPart } from '../support/tar.ts'
import { isOpaque, isRoot, isWhiteout, useCorpus, xattr } from './corpus/corpus.ts'
import { namesIn } from './lab.ts'

/** More directories than are kept on record. */
const many = (name: string): TarPart[] => Array.from({ length: 16_500 }, (_, i) => ({ name: `${name}/${i}/`, type: 'dir' }))

describe.skipIf(!isRoot)('a layer of more directories than are kept on record', () => {
  const { unpack } = useCorpus({ maxLayerEntries: 100_000 })

  it('is the tree it would be with all of them on record', async () => {
    const acl = Buffer.from('0200000001000700ffffffff04000700ffffffff20000000ffffffff', 'hex')
    const early: TarPart[] = [
      { name: 'shared/', type: 'dir', mode: 0o2775, uid: 3, gid: 50, mtime: 1_000 },
      { name: 'acl/', type: 'dir', xattrs: { 'system.posix_acl_default': acl, 'user.early': '1' }, mtime: 2_000 },
      { name: 'owned/', type: 'dir', uid: 7, gid: 7, xattrs: { 'user.early': '1' } },
      { name: 'implied/early' },
      { name: 'implied-then-said/early' },
      { name: 'opaque/.wh..wh..opq' },
      { name: 'hidden-later/.wh.gone' },
      { name: 'replaced/sub/', type: 'dir' },
      { name: 'replaced/implied/f' },
    ]
    const late: TarPart[] = [
      { name: 'shared/late', content: 'x' },
      { name: 'shared/made/late' },
      { name: 'acl/late', content: 'x', mode: 0o666 },
      { name: 'owned/', type: 'dir', uid: 0, gid: 0, mode: 0o711, xattrs: { 'user.late': '1' } },
      { name: 'implied/late' },
      { name: 'implied-then-said/', type: 'dir', mode: 0o700 },
      { name: 'opaque/.wh.ghost' },
      { name: 'hidden-later/.wh..wh..opq' },
      { name: 'replaced', content: 'a file' },
    ]
    const { diff, implied } = await unpack([...early, ...many('one'), ...late, ...many('two'), { name: 'implied/latest' }])
    expect(statSync(`${diff}/shared`)).toMatchObject({ mode: 0o42775, uid: 3, gid: 50, mtimeMs: 1_000_000 })
    expect(statSync(`${diff}/shared/late`)).toMatchObject({ mode: 0o100644, gid: 0 })
    expect(statSync(`${diff}/shared/made`)).toMatchObject({ mode: 0o40755, gid: 50 })
    expect(statSync(`${diff}/acl`).mtimeMs).toBe(2_000_000)
    expect(xattr(`${diff}/acl`, 'system.posix_acl_default')).toEqual(acl)
    expect(statSync(`${diff}/acl/late`).mode & 0o777).toBe(0o666)
    expect(xattr(`${diff}/acl/late`, 'system.posix_acl_access')).toBeUndefined()
    expect(statSync(`${diff}/owned`)).toMatchObject({ mode: 0o40711, uid: 0, gid: 0 })
    expect(['user.early', 'user.late'].map((name) => xattr(`${diff}/owned`, name)?.toString())).toEqual(['1', '1'])
    expect(isOpaque(`${diff}/opaque`)).toBe(true)
    expect(namesIn(`${diff}/opaque`)).toEqual([])
    expect(namesIn(`${diff}/hidden-later`)).toEqual([])
    expect(lstatSync(`${diff}/replaced`).isFile()).toBe(true)
    expect(readdirSync(`${diff}/two`).length).toBe(16_500)
    // Of what was replaced, the record may still speak: there is nothing at that path for the store to change.
    expect(implied.filter((path) => !path.startsWith('replaced')).toSorted()).toEqual([
      'hidden-later',
      'implied',
      'one',
      'opaque',
      'shared/made',
      'two',
    ])
  })

  it('names implied directories parents first', async () => {
    const { implied } = await unpack([{ name: 'a/f' }, ...many('one'), { name: 'a/b/c/f' }, ...many('two'), { name: 'a/b/d/f' }])
    const own = implied.filter((path) => path.startsWith('a'))
    expect(own).toEqual(['a', 'a/b', 'a/b/c', 'a/b/d'])
  })

  it('keeps whiteouts where they hide something', async () => {
    const { diff } = await unpack([{ name: 'd/.wh.gone' }, { name: 'o/.wh..wh..opq' }, ...many('one'), { name: 'd/.wh.too' }])
    expect([isWhiteout(`${diff}/d/gone`), isWhiteout(`${diff}/d/too`)]).toEqual([true, true])
  })
})

describe.skipIf(!isRoot)('the umask of the process', () => {
  const { unpack } = useCorpus()

  it('plays no part', async () => {
    const before = process.umask(0o077)
    try {
      const { diff } = await unpack([{ name: 'open', content: 'x', mode: 0o666 }, { name: 'made/up' }])
      expect(statSync(`${diff}/open`).mode & 0o777).toBe(0o666)
      expect(statSync(`${diff}/made`).mode & 0o777).toBe(0o755)
    } finally {
      process.umask(before)
    }
  })
})
