import { expect, test } from 'vitest'
import { createCollector } from '../../src/gc/gc.ts'
import { openLocalStore } from '../../src/store/local/local.ts'
import { commitLayer, pullByHand } from '../store/fixtures.ts'
import { temporaryRoot } from '../store/local/place.ts'

const { signal } = new AbortController()

test('a collection says what it freed, and frees nothing that an image needs', async () => {
  using place = temporaryRoot()
  await using store = await openLocalStore({ root: place.root }, { signal })
  await pullByHand(store, ['base'], { tag: 'registry.test/app:1' })
  await commitLayer(store, { name: 'loose' })
  await commitLayer(store, { name: 'loose too' })
  const collector = createCollector(store)
  const before = await store.usage()
  expect(await collector.collect()).toEqual({ layers: 2, bytes: (before.usedBytes * 2) / 3 })
  expect((await store.usage()).usedBytes).toBe(before.usedBytes / 3)
  expect(await collector.collect()).toEqual({ layers: 0, bytes: 0 })
  expect(await store.images()).toHaveLength(1)
})

test('bytes that nobody has measured are not among those that were freed', async () => {
  using place = temporaryRoot()
  await using store = await openLocalStore({ root: place.root }, { signal })
  await commitLayer(store, { name: 'loose' })
  const collect = async () => (await store.collect()).map(({ usedBytes: _, ...layer }) => layer)
  const collector = createCollector({ collect })
  expect(await collector.collect()).toEqual({ layers: 1, bytes: 0 })
})

test('collections do not overlap; those asked for meanwhile become one; a failure is told and forgotten', async () => {
  const began: PromiseWithResolvers<readonly []>[] = []
  let running = 0
  const collector = createCollector({
    collect: async () => {
      expect(++running).toBe(1)
      const end = Promise.withResolvers<readonly []>()
      began.push(end)
      return await end.promise.finally(() => running--)
    },
  })
  const first = collector.collect()
  await Promise.resolve()
  const [second, third] = [collector.collect(), collector.collect()]
  expect(began).toHaveLength(1)
  began[0]?.reject(new Error('disk'))
  await expect(first).rejects.toThrow('disk')
  await Promise.resolve()
  began[1]?.resolve([])
  expect(await Promise.all([second, third])).toEqual([
    { layers: 0, bytes: 0 },
    { layers: 0, bytes: 0 },
  ])
  expect(began).toHaveLength(2)
})
