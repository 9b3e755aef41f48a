import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLocalStore } from '../../../src/store/local/local.ts'
import { storeContract } from '../contract.ts'
import { commitLayer, pullByHand } from '../fixtures.ts'
import { temporaryRoot } from './place.ts'

const { signal } = new AbortController()

storeContract('the local store', async () => {
  const place = temporaryRoot()
  return {
    open: () => openLocalStore({ root: place.root }, { signal }),
    settle: async () => {},
    destroy: async () => place[Symbol.dispose](),
  }
})

test('a collection tells which layers went', async () => {
  using place = temporaryRoot()
  await using store = await openLocalStore({ root: place.root }, { signal })
  const id = await pullByHand(store, ['base', 'top'], { tag: 'registry.test/app:1' })
  const top = (await store.find(id))?.layerIds.at(-1)
  await pullByHand(store, ['base'], { tag: 'registry.test/base:1' })
  const diff = top === undefined ? '' : ((await store.layer(top))?.diff ?? '')
  await store.remove(id)
  expect(existsSync(diff)).toBe(true)
  expect((await store.collect()).map((layer) => layer.id)).toEqual([top])
})

test('usage follows layers as they come and go', async () => {
  using place = temporaryRoot()
  await using store = await openLocalStore({ root: place.root }, { signal })
  const empty = await store.usage()
  const write = (diff: string): void => writeFileSync(join(diff, 'big'), Buffer.alloc(1 << 20, 1))
  await commitLayer(store, { name: 'base', write })
  const full = await store.usage()
  expect(full.usedBytes - empty.usedBytes).toBeGreaterThanOrEqual(1 << 20)
  expect(full.usedBytes - empty.usedBytes).toBeLessThan((1 << 20) + 65536)
  expect(full.inodesUsed - empty.inodesUsed).toBe(2)
  // It is a count: nobody walks the tree, which has grown by itself.
  const [layer] = (await store.holdings?.look())?.layers ?? []
  writeFileSync(join(layer?.diff ?? '', 'another'), Buffer.alloc(1 << 20, 1))
  expect((await store.usage()).usedBytes).toBe(full.usedBytes)
  await store.collect()
  expect((await store.usage()).usedBytes).toBe(empty.usedBytes)
  expect((await store.usage()).mountpoint).toBe(store.root)
})
