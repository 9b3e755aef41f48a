/** Images that somebody reads the layers of: `save` alone needs more than that they are here. */
import { expect, test } from 'vitest'
import { failureOf } from '../../src/failure/failure.ts'
import { holdImage } from '../../src/store/held.ts'
import type { Lease, Store, StoredImage, StoredLayer } from '../../src/store/store.ts'
import { storedImage } from '../rpc/parts.ts'

const image = storedImage('app', { tags: ['r.example/app:1', 'r.example/app:2'], digests: [] })
const facts = { diffSize: 10, entries: 1, whiteouts: 0 }

/** A store of one image, and what has become of its leases. */
function storeOf(layer: Partial<StoredLayer>, find: () => StoredImage | undefined = () => image) {
  const leases = { retained: 0, open: 0 }
  const store: Pick<Store, 'find' | 'layer' | 'lease'> = {
    find: async () => find(),
    layer: async (id) => ({ id, diff: '/layer/diff', short: 'l/x', ...layer }),
    lease: (): Lease => {
      leases.open++
      return {
        retain: async (ids) => {
          leases.retained += ids.length
        },
        [Symbol.asyncDispose]: async () => {
          leases.open--
        },
      }
    },
  }
  return { store, leases }
}

test('its layers are held until it is disposed, under the name it was asked for by', async () => {
  const { store, leases } = storeOf({ tarSplit: '/layer/tar-split.gz', facts })
  const held = await holdImage(store, 'r.example/app:2')
  expect(held.tags).toEqual(['r.example/app:2'])
  expect(held.layers.map(({ diffId, size }) => [diffId, size])).toEqual(image.config.diffIds.map((diffId) => [diffId, 10]))
  expect(leases).toEqual({ retained: image.layerIds.length, open: 1 })
  await held[Symbol.asyncDispose]()
  expect(leases.open).toBe(0)
})

test('one that a runtime unpacked is refused, and nothing stays held', async () => {
  const { store, leases } = storeOf({ unverifiable: 'containerd unpacked it' })
  const failure = failureOf(await holdImage(store, 'r.example/app:1').catch((error: unknown) => error))
  expect(failure).toMatchObject({
    kind: 'invalid-argument',
    reason: expect.stringMatching(/layer 1 cannot .*: containerd unpacked it/),
  })
  expect(leases.open).toBe(0)
})

test('one that goes before it is held is not here', async () => {
  let looks = 0
  const { store, leases } = storeOf({ tarSplit: '/t', facts }, () => (looks++ === 0 ? image : undefined))
  const failure = failureOf(await holdImage(store, 'r.example/app:1').catch((error: unknown) => error))
  expect(failure).toEqual({ kind: 'image-unknown', names: ['r.example/app:1'] })
  expect(leases.open).toBe(0)
})
