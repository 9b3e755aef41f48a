/** The graph on disk, as containers/storage's overlay driver reads it. */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hexOf, sha256 } from '../../../src/oci/digest.ts'
import { openLocalStore } from '../../../src/store/local/local.ts'
import { commitChain, diffIdOf } from '../fixtures.ts'
import { temporaryRoot } from './place.ts'

test('a chain lies there as podman and CRI-O expect it', async () => {
  using place = temporaryRoot()
  await using store = await openLocalStore({ root: place.root }, { signal: new AbortController().signal })
  const [base, middle, top] = await commitChain(store, [{ name: 'base' }, { name: 'middle' }, { name: 'top' }])
  if (base === undefined || middle === undefined || top === undefined) throw new Error('a layer is missing')

  expect(base.id).toBe(hexOf(diffIdOf('base')))
  expect(middle.id).toBe(hexOf(sha256(`${base.id}+${hexOf(diffIdOf('middle'))}`)))
  const inLayer = (id: string, name: string): string => join(store.overlayDir, id, name)
  for (const { id, short, diff, tarSplit = '' } of [base, middle, top]) {
    const link = readFileSync(inLayer(id, 'link'), 'utf8')
    expect(link).toMatch(/^[A-Z2-7]{26}$/)
    expect(short).toBe(`l/${link}`)
    expect(readlinkSync(join(store.overlayDir, short))).toBe(`../${id}/diff`)
    expect(diff).toBe(inLayer(id, 'diff'))
    expect(tarSplit).toBe(join(place.root, 'overlay-layers', `${id}.tar-split.gz`))
    expect(statSync(tarSplit).isFile()).toBe(true)
    expect(statSync(inLayer(id, '.')).mode & 0o777).toBe(0o700)
  }
  expect(readdirSync(inLayer(base.id, '.')).toSorted()).toEqual(['diff', 'empty', 'link', 'merged', 'work'])
  expect(readdirSync(inLayer(top.id, '.')).toSorted()).toEqual(['diff', 'link', 'lower', 'merged', 'work'])
  expect(readFileSync(inLayer(middle.id, 'lower'), 'utf8')).toBe(base.short)
  expect(readFileSync(inLayer(top.id, 'lower'), 'utf8')).toBe(`${middle.short}:${base.short}`)
  expect(existsSync(join(place.root, 'overlay-images'))).toBe(true)
})
