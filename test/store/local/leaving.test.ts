/** An image that a collection has chosen goes only if nothing has come to need it since. */
import { expect, test } from 'vitest'
import { openLocalStore } from '../../../src/store/local/local.ts'
import type { Store, StoredImage } from '../../../src/store/store.ts'
import { pullByHand } from '../fixtures.ts'
import { temporaryRoot } from './place.ts'

const { signal } = new AbortController()
const tag = 'registry.test/app:1'

/** A store with one image, as a collection has read it. */
async function chosen(root: string): Promise<{ readonly store: Store; readonly image: StoredImage }> {
  const store = await openLocalStore({ root, primaryGraphRoots: [] }, { signal })
  await pullByHand(store, ['base', 'top'], { tag })
  return { store, image: (await store.find(tag)) ?? expect.fail('it was published') }
}
const remove = async (store: Store, image: StoredImage) => await (store.holdings ?? expect.fail()).removeIdle(image)

test('it goes, and with it its names; once', async () => {
  using place = temporaryRoot()
  const { store, image } = await chosen(place.root)
  await using _ = store
  expect(await remove(store, image)).toBe(true)
  expect(await store.find(tag)).toBeUndefined()
  expect(await remove(store, image)).toBe(false)
})

test('not where it was used since', async () => {
  using place = temporaryRoot()
  const { store, image } = await chosen(place.root)
  await using _ = store
  while (Date.now() <= image.usedAt.getTime());
  store.holdings?.used([image.id])
  expect(await remove(store, image)).toBe(false)
  expect(await store.find(tag)).toBeDefined()
})

test('not where it was pulled again since, whichever gets there first', async () => {
  using place = temporaryRoot()
  const { store, image } = await chosen(place.root)
  await using _ = store
  const pulled = pullByHand(store, ['base', 'top'], { tag: 'registry.test/app:2' })
  await remove(store, image)
  await pulled
  expect((await store.find(image.id))?.tags).toContain('registry.test/app:2')
})

test('not where a pin is on its way that memory does not know of yet; over one whose time is over it does', async () => {
  using place = temporaryRoot()
  const { store, image } = await chosen(place.root)
  await using _ = store
  const since = new Date()
  const pinned = store.pin(image.id, { owner: 'ops', reason: '', since })
  const removed = remove(store, image)
  expect([await pinned, await removed]).toEqual([true, false])
  expect((await store.find(tag))?.pins).toHaveLength(1)
  await store.unpin(image.id)
  const over = store.pin(image.id, { owner: 'ops', reason: '', since, until: new Date(since.getTime() - 1) })
  expect([await remove(store, image), await over]).toEqual([true, true])
})

test('not while a pull needs it; who only reads its layers keeps those, and not the image', async () => {
  using place = temporaryRoot()
  const { store, image } = await chosen(place.root)
  await using _ = store
  await using reading = store.lease('read')
  await reading.retain(image.layerIds)
  {
    await using pulling = store.lease()
    await pulling.retain(image.layerIds)
    expect(await remove(store, image)).toBe(false)
    expect((await store.holdings?.look())?.holders).toMatchObject({
      leased: new Set(image.layerIds),
      read: new Set(image.layerIds),
    })
  }
  expect((await store.holdings?.look())?.holders.leased).toEqual(new Set())
  expect(await remove(store, image)).toBe(true)
  expect(await store.collect()).toEqual([])
  await reading[Symbol.asyncDispose]()
  expect(await store.collect()).toHaveLength(2)
})

test('a pull that comes to need it while it goes hears of the end of that', async () => {
  using place = temporaryRoot()
  const { store, image } = await chosen(place.root)
  await using _ = store
  const removed = remove(store, image)
  await using pulling = store.lease()
  await pulling.retain(image.layerIds)
  expect(await store.find(tag)).toBeUndefined()
  expect(await removed).toBe(true)
})

test('what was removed is on its way out until it is unlinked', async () => {
  using place = temporaryRoot()
  const { store, image } = await chosen(place.root)
  await using _ = store
  const { usedBytes } = await store.usage()
  await remove(store, image)
  const gone = await store.collect()
  expect(gone.map((layer) => layer.usedBytes)).toEqual([usedBytes / 2, usedBytes / 2])
  // The thread that unlinks has yet to start.
  expect((await store.holdings?.look())?.leaving).toEqual({ bytes: usedBytes, inodes: expect.any(Number) })
  await store.holdings?.unlinked()
  expect((await store.holdings?.look())?.leaving).toEqual({ bytes: 0, inodes: 0 })
})
