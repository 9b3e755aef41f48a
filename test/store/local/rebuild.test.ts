/** A database that is lost is made anew of what layers.json and images.json, and the documents beside them, say. */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hexOf, layerIds, sha256 } from '../../../src/oci/digest.ts'
import { openLocalStore } from '../../../src/store/local/local.ts'
import type { NewImage, Store, StoredImage } from '../../../src/store/store.ts'
import { commitLayer, diffIdOf, imageOver, pullByHand } from '../fixtures.ts'
import { recordingLog, temporaryRoot } from './place.ts'

const { signal } = new AbortController()
let place: ReturnType<typeof temporaryRoot>
let log: ReturnType<typeof recordingLog>

beforeEach(() => {
  place = temporaryRoot()
  log = recordingLog()
})
afterEach(() => place[Symbol.dispose]())

const open = (): Promise<Store> => openLocalStore({ root: place.root, primaryGraphRoots: [], log }, { signal })
const below = (...path: string[]): string => join(place.root, ...path)
const errors = (): string[] => log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)
const tag = 'registry.test/app:1'

async function within<T>(work: (store: Store) => Promise<T>): Promise<T> {
  await using store = await open()
  return await work(store)
}

const loseDatabase = (): void => {
  for (const name of readdirSync(place.root)) if (name.startsWith('windlass.db')) rmSync(below(name))
}

/** All that a store says, but for times of use. */
async function everything(store: Store): Promise<unknown> {
  const images = await store.images()
  const layers = await Promise.all(images.flatMap(({ layerIds: ids }) => ids.map((id) => store.layer(id))))
  const { usedBytes, inodesUsed } = await store.usage()
  return { images: images.map(timeless), layers, usedBytes, inodesUsed }
}
const timeless = ({ usedAt: _, config, ...image }: StoredImage): unknown => ({ ...image, diffIds: config.diffIds })

const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', digest: sha256('a blob'), size: 77 }

async function fill(store: Store): Promise<void> {
  await using lease = store.lease()
  await lease.retain([(await commitLayer(store, { name: 'base', blob })).id])
  await pullByHand(store, ['base', 'middle', 'top'], { tag, label: 'first' })
  await pullByHand(store, ['base', 'middle', 'top'], { tag: 'registry.test/app:2', label: 'first' })
  await pullByHand(store, ['base', 'other'], { tag: 'registry.test/other:1' })
  // The tag moves on: the first image has a digest name there, and no tag.
  await pullByHand(store, ['base', 'other'], { tag: 'registry.test/moved:1', label: 'before' })
  await pullByHand(store, ['base', 'other'], { tag: 'registry.test/moved:1', label: 'after' })
  await pullByHand(store, ['base'], {})
  const indexBytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [] }))
  const digest = `registry.test/multi@${sha256(indexBytes)}`
  const led = (image: NewImage): NewImage => ({ ...image, digest, indexBytes })
  await store.publish(led(imageOver(['base'], { label: 'one' })), { signal })
  await store.publish(led(imageOver(['base'], { label: 'two' })), { signal })
}

describe('the database is gone', () => {
  test('images, names, descriptors, sizes, layers and their order are as before; the log says what is lost', async () => {
    const before = await within(async (store) => {
      await fill(store)
      return await everything(store)
    })
    loseDatabase()
    await within(async (store) => expect(await everything(store)).toEqual(before))
    expect(errors()).toEqual([expect.stringContaining('Pins, receipts, times of use')])
    expect(log.lines.find(({ level }) => level === 'error')?.fields).toEqual({ images: 7, layers: 4, lost: [] })
    await within(async (store) => expect(await everything(store)).toEqual(before))
    expect(errors()).toHaveLength(1)
  })

  test('who pulled an image is lost, and what comes after is kept again', async () => {
    const receipt = { identity: 'a', name: 'registry.test/app@sha256:1', host: 'registry.test', at: new Date(1_000) }
    const id = await within(async (store) => {
      await pullByHand(store, ['base'], { tag })
      const { image } = await store.publish({ ...imageOver(['base'], { tag }), receipt }, { signal })
      return image.id
    })
    const known = (store: Store) => store.receipts.of({ id, pulledAt: new Date() })
    await within(async (store) => expect(await known(store)).toEqual({ receipts: [receipt] }))
    loseDatabase()
    await within(async (store) => {
      expect(await known(store)).toEqual({ receipts: [] })
      store.receipts.note(id, receipt)
      expect(await known(store)).toEqual({ receipts: [receipt] })
    })
  })

  test('records of a version that wrote no flags do', async () => {
    await within((store) => pullByHand(store, ['base', 'top'], { tag }))
    const usage = await within((store) => store.usage())
    for (const file of ['overlay-layers/layers.json', 'overlay-images/images.json'])
      writeFileSync(below(file), readFileSync(below(file), 'utf8').replaceAll(/,"flags":\{"windlass":\{[^}]*\}\}/g, ''))
    expect(readFileSync(below('overlay-layers/layers.json'), 'utf8')).not.toContain('flags')
    rmSync(below('windlass.edition'))
    loseDatabase()
    await within(async (store) => {
      expect((await store.find(tag))?.layerIds).toEqual(layerIds([diffIdOf('base'), diffIdOf('top')]))
      expect((await store.usage()).usedBytes).toBe(usage.usedBytes)
    })
  })

  test('an image whose documents or layers are not what they must be is lost alone', async () => {
    const torn = imageOver(['base'], { tag, label: 'torn' })
    const bare = layerIds([diffIdOf('base'), diffIdOf('gone')])
    await within(async (store) => {
      await pullByHand(store, ['base'], { tag: 'registry.test/torn:1', label: 'torn' })
      await pullByHand(store, ['base', 'gone'], { tag: 'registry.test/bare:1' })
      await pullByHand(store, ['base'], { tag: 'registry.test/kept:1' })
    })
    loseDatabase()
    truncateSync(below('overlay-images', hexOf(torn.id), 'manifest'), 10)
    rmSync(below('overlay', bare[1] ?? '', 'diff'), { recursive: true })
    await within(async (store) => expect((await store.images()).map(({ tags }) => tags)).toEqual([['registry.test/kept:1']]))
    expect(log.lines.find(({ level }) => level === 'error')?.fields).toMatchObject({ images: 1, layers: 1 })
    expect(existsSync(below('overlay', bare[1] ?? ''))).toBe(false)
  })

  test('a layer that no record names is gone, whole as it may look', async () => {
    const unpublished = await within(async (store) => {
      await pullByHand(store, ['base'], { tag })
      await using lease = store.lease()
      await lease.retain(layerIds([diffIdOf('new')]))
      return (await commitLayer(store, { name: 'new' })).id
    })
    loseDatabase()
    await within(async (store) => expect(await store.layer(unpublished)).toBeUndefined())
    expect(existsSync(below('overlay', unpublished))).toBe(false)
  })

  test.each(['{', '', '[{}, 7, null]', '{"id": 1}'])('records that say %o start an empty store', async (text) => {
    await within((store) => pullByHand(store, ['base'], { tag }))
    loseDatabase()
    for (const file of ['overlay-layers/layers.json', 'overlay-images/images.json']) writeFileSync(below(file), text)
    await within(async (store) => {
      expect(await store.images()).toEqual([])
      await pullByHand(store, ['base'], { tag })
    })
  })
})

test('a journal that was removed costs nothing: what it held is in the other records', async () => {
  const store = await open()
  await pullByHand(store, ['base'], { tag, label: 'old' })
  copyFileSync(below('windlass.db'), below('before'))
  await pullByHand(store, ['base', 'top'], { tag, label: 'new' })
  await store[Symbol.asyncDispose]()
  copyFileSync(below('before'), below('windlass.db'))
  rmSync(below('before'))
  await within(async (after) => {
    expect((await after.find(tag))?.config.run.labels).toEqual({ label: 'new' })
    expect(await after.images()).toHaveLength(2)
  })
  const told = errors().length
  await within(async (after) => expect(await after.images()).toHaveLength(2))
  expect(errors()).toHaveLength(told)
})

test('a whole database decides: what a removal that was cut short left in the other records does not come back', async () => {
  const records = ['overlay-layers/layers.json', 'overlay-images/images.json']
  await within(async (store) => {
    const id = await pullByHand(store, ['base'], { tag })
    const before = records.map((file) => readFileSync(below(file)))
    await store.remove(id)
    records.forEach((file, i) => {
      writeFileSync(below(file), before[i] ?? '')
    })
  })
  await within(async (store) => expect(await store.images()).toEqual([]))
  expect(errors()).toEqual([])
})

test('records of a newer windlass are refused, and nothing is deleted', async () => {
  await within((store) => pullByHand(store, ['base'], { tag }))
  loseDatabase()
  const file = below('overlay-layers/layers.json')
  const ours = readFileSync(file, 'utf8')
  writeFileSync(file, ours.replace('"version":1', '"version":2'))
  const there = (): string[] =>
    readdirSync(place.root, { recursive: true, encoding: 'utf8' }).filter((name) => !name.includes('.db'))
  const before = there()
  for (let start = 0; start < 2; start++)
    await expect(open()).rejects.toMatchObject({ failure: { kind: 'unsupported', mediaType: 'version 2' } })
  expect(there()).toEqual(before)
  expect(new DatabaseSync(below('windlass.db')).prepare('SELECT * FROM layers').all()).toEqual([])
  writeFileSync(file, ours)
  await within(async (store) => expect(await store.find(tag)).toBeDefined())
})
