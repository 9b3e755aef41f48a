import { expect, test } from 'vitest'
import { createCollector } from '../../src/gc/gc.ts'
import { type RemovalParts, removeImage } from '../../src/gc/remove.ts'
import { openLocalStore } from '../../src/store/local/local.ts'
import { findImage } from '../../src/store/lookup.ts'
import type { Store } from '../../src/store/store.ts'
import { pullByHand } from '../store/fixtures.ts'
import { temporaryRoot } from '../store/local/place.ts'

const { signal } = new AbortController()

const partsOver = (store: Store) => {
  const lines: unknown[] = []
  const parts: RemovalParts = {
    store,
    collector: createCollector(store),
    log: { info: (fields, text) => void lines.push({ ...fields, text }) },
  }
  return { parts, lines }
}

test('a tag goes alone, the last one takes the image and its layers along, and the log says who asked', async () => {
  using place = temporaryRoot()
  await using store = await openLocalStore({ root: place.root }, { signal })
  const id = await pullByHand(store, ['base'], { tag: 'registry.test/app:1' })
  await pullByHand(store, ['base'], { tag: 'registry.test/app:2' })
  const { parts, lines } = partsOver(store)
  const remove = async (name: string) => {
    const found = await findImage(store, name)
    return found === undefined ? undefined : await removeImage(parts, found, 'control')
  }
  const untagged = ['registry.test/app:1']
  expect(await remove('registry.test/app:1')).toMatchObject({
    imageId: id,
    untagged,
    imageRemoved: false,
    layersRemoved: 0,
  })
  const { usedBytes } = await store.usage()
  expect(await remove(id)).toMatchObject({
    untagged: ['registry.test/app:2'],
    imageRemoved: true,
    layersRemoved: 1,
    bytesFreed: usedBytes - (await store.usage()).usedBytes,
  })
  expect(await remove(id)).toBeUndefined()
  expect(lines).toEqual([
    { client: 'control', image: id, tags: ['registry.test/app:1'], text: 'untagged' },
    { client: 'control', image: id, tags: ['registry.test/app:2'], text: 'removed' },
  ])
})

test('of two who remove the same image at once, one did it', async () => {
  using place = temporaryRoot()
  await using store = await openLocalStore({ root: place.root }, { signal })
  await pullByHand(store, ['base'], { tag: 'registry.test/app:1' })
  const { parts, lines } = partsOver(store)
  const found = await findImage(store, 'registry.test/app:1')
  if (found === undefined) throw new Error('it is not there')
  const { image } = found
  const both = await Promise.all([removeImage(parts, { by: 'id', image }, 'cri'), removeImage(parts, { by: 'id', image }, 'cri')])
  expect(both.filter((removal) => removal !== undefined)).toHaveLength(1)
  expect(lines).toHaveLength(1)
})
