import { expect, it } from 'vitest'
import { rememberingImages } from '../../src/rpc/image-list.ts'
import { serviceDefinitions } from '../../src/rpc/proto.ts'

const { image: service } = serviceDefinitions()
const images = Array.from({ length: 20 }, (_, i) => ({
  id: `sha256:${String(i).padStart(64, '0')}`,
  repoTags: [`registry.test/app:${i}`, 'registry.test/ünï:1'],
  repoDigests: [],
  size: 2 ** 33 + i,
  pinned: i % 2 === 0,
  ...(i % 3 === 0 ? { uid: { value: 1000 } } : { username: 'nobody' }),
}))

it('makes the bytes of a list as they always were, and of no message twice', () => {
  const { ListImages: method } = service
  let made = 0
  const counted = {
    ...service,
    ListImages: {
      ...method,
      responseSerialize: (response: object) => {
        made++
        return method?.responseSerialize(response)
      },
    },
  } as typeof service
  const { ListImages: list } = rememberingImages(counted)
  const bytes = (some: readonly object[]) => list?.responseSerialize({ images: some })
  expect(bytes(images)).toEqual(method?.responseSerialize({ images }))
  expect(made).toBe(20)
  const changed = images.with(3, { ...images[3], pinned: true } as (typeof images)[number])
  expect(bytes(changed)).toEqual(method?.responseSerialize({ images: changed }))
  expect(made).toBe(21)
  expect(bytes(images.slice(5))).toEqual(method?.responseSerialize({ images: images.slice(5) }))
  expect(bytes([])).toEqual(Buffer.alloc(0))
  expect(made).toBe(21)
})

it('leaves all other methods as they are', () => {
  const { ListImages: _, ...others } = rememberingImages(service)
  const { ListImages: __, ...before } = service
  expect(others).toEqual(before)
})
