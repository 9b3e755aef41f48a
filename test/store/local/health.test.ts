/** Layers that are known to be damaged: how long that is known, and how a new tree takes their place. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { layerFindings } from '../../../src/doctor/layers.ts'
import { failureOf } from '../../../src/failure/failure.ts'
import { damagedLayersIn } from '../../../src/store/local/glance.ts'
import { openLocalStore } from '../../../src/store/local/local.ts'
import type { Health, Store, StoredLayer } from '../../../src/store/store.ts'
import { mountOverlay, unmount } from '../../../src/sys/mount.ts'
import { commitLayer, diffIdOf, type LayerSpec, pullByHand } from '../fixtures.ts'
import { temporaryRoot } from './place.ts'

const { signal } = new AbortController()
const isRoot = process.getuid?.() === 0
const tag = 'registry.test/app:1'
const damage = { foundAt: new Date(1_700_000_000_000), differences: 2, first: 'etc/passwd: other bytes' }
let place: ReturnType<typeof temporaryRoot>
let primary: string

beforeEach(() => {
  place = temporaryRoot()
  primary = join(dirname(place.root), 'primary')
})
afterEach(() => place[Symbol.dispose]())

const open = (): Promise<Store> => openLocalStore({ root: place.root, primaryGraphRoots: [primary] }, { signal })
const healthOf = (store: Store): Health => store.health ?? expect.fail('this store knows nothing of damage')
const [baseId, topId] = [0, 1].map((at) => (store: Store) => store.layerIds(['base', 'top'].map(diffIdOf))[at] ?? expect.fail())
const layerIn = async (store: Store, id: typeof baseId): Promise<StoredLayer> =>
  (await store.layer(id?.(store) ?? expect.fail())) ?? expect.fail('there is no such layer')
const inGraph = (layer: StoredLayer): string[] => readdirSync(dirname(layer.diff)).sort()

/** Two layers, the lower of them changed and known to be. */
async function damaged(store: Store): Promise<StoredLayer> {
  await pullByHand(store, ['base', 'top'], { tag })
  const base = await layerIn(store, baseId)
  writeFileSync(join(base.diff, 'base'), 'something else')
  await healthOf(store).mark(base, damage)
  return await layerIn(store, baseId)
}

const again: LayerSpec = { name: 'base' }

describe('that a layer is damaged', () => {
  test('is known, and known again after a restart', async () => {
    {
      await using store = await open()
      expect((await damaged(store)).damage).toEqual(damage)
    }
    await using store = await open()
    expect((await layerIn(store, baseId)).damage).toEqual(damage)
    expect(healthOf(store).damaged()).toMatchObject([{ id: baseId?.(store), damage }])
    expect((await layerIn(store, topId)).damage).toBeUndefined()
  })

  test('is seen from outside, with the store open and closed, and nothing is left by who looks', async () => {
    expect(damagedLayersIn(place.root)).toEqual([])
    const seen = await (async () => {
      await using store = await open()
      await damaged(store)
      return damagedLayersIn(place.root)
    })()
    const before = readdirSync(place.root)
    expect(seen).toEqual([{ id: expect.stringMatching(/^[0-9a-f]{64}$/), first: damage.first }])
    expect(damagedLayersIn(place.root)).toEqual(seen)
    expect(readdirSync(place.root)).toEqual(before)
  })

  test('is something to tell whoever looks the node over', () => {
    expect(layerFindings([])).toMatchObject([{ level: 'ok' }])
    const found = layerFindings([
      { id: 'a'.repeat(64), first: 'x: gone' },
      { id: 'b'.repeat(64), first: '' },
    ])
    expect(found).toEqual([
      {
        level: 'warn',
        about: 'layers',
        text: 'aaaaaaaaaaaa is damaged (x: gone) and 1 more: windlass verify --repair brings them again',
      },
    ])
  })

  test('can be taken back', async () => {
    {
      await using store = await open()
      await healthOf(store).mark(await damaged(store), undefined)
      expect(healthOf(store).damaged()).toEqual([])
    }
    await using store = await open()
    expect((await layerIn(store, baseId)).damage).toBeUndefined()
  })

  test('keeps it from being copied, where its twin is sound', async () => {
    await using store = await open()
    await damaged(store)
    expect(await store.layerByDiffId(diffIdOf('base'))).toBeUndefined()
    await pullByHand(store, ['other', 'base'], { tag: 'registry.test/other:1' })
    const twin = await store.layerByDiffId(diffIdOf('base'))
    expect(twin?.parent).toBe(store.layerIds([diffIdOf('other')])[0])
  })

  test('is not said of a tree that has taken its place meanwhile', async () => {
    await using store = await open()
    const before = await damaged(store)
    await commitLayer(store, again)
    await healthOf(store).mark(before, damage)
    expect((await layerIn(store, baseId)).damage).toBeUndefined()
  })
})

describe('a commit of a damaged layer', () => {
  test('puts the new tree in its place for good, and leaves all else where it is', async () => {
    const before = await (async () => {
      await using store = await open()
      const layer = await damaged(store)
      chmodSync(layer.diff, 0o777)
      rmSync(join(dirname(layer.diff), 'link'))
      const usage = await store.usage()
      const healed = await commitLayer(store, again)
      expect(healed).toMatchObject({ id: layer.id, diff: layer.diff, short: layer.short })
      expect(healed.damage).toBeUndefined()
      expect((await store.usage()).inodesUsed).toBe(usage.inodesUsed)
      expect((await store.find(tag))?.layerIds).toHaveLength(2)
      return layer
    })()
    await using store = await open()
    const layer = await layerIn(store, baseId)
    expect(layer.damage).toBeUndefined()
    expect(readFileSync(join(layer.diff, 'base'), 'utf8')).toBe('content of base')
    expect(readFileSync(join(store.overlayDir, layer.short, 'base'), 'utf8')).toBe('content of base')
    expect(statSync(layer.diff).mode & 0o7777).toBe(0o755)
    expect(inGraph(layer)).toEqual(['diff', 'empty', 'link', 'merged', 'work'])
    expect(readFileSync(before.tarSplit ?? '', 'utf8')).toBe('tar-split of base')
    expect((await layerIn(store, topId)).parent).toBe(layer.id)
    expect(await store.collect()).toEqual([])
    expect(readFileSync(join(place.root, 'overlay-layers/layers.json'), 'utf8')).toContain(layer.id)
  })

  test('brings back a tree that is gone altogether', async () => {
    await using store = await open()
    const layer = await damaged(store)
    rmSync(layer.diff, { recursive: true })
    await commitLayer(store, again)
    expect(readdirSync(layer.diff)).toEqual(['base'])
  })

  test('gives directories that the tar left out what they have below', async () => {
    await using store = await open()
    await pullByHand(store, ['base', 'top'], { tag })
    const [base, top] = [await layerIn(store, baseId), await layerIn(store, topId)]
    mkdirSync(join(base.diff, 'tmp'))
    chmodSync(join(base.diff, 'tmp'), 0o1777)
    await healthOf(store).mark(top, damage)
    const write = (diff: string): void => mkdirSync(join(diff, 'tmp'))
    await commitLayer(store, { name: 'top', implied: ['tmp'], write }, base)
    expect(statSync(join(top.diff, 'tmp')).mode & 0o7777).toBe(0o1777)
  })

  test('that fails leaves the old tree, and what is known of it', async () => {
    await using store = await open()
    const layer = await damaged(store)
    const tamper = (staged: string): void => rmSync(join(staged, 'tar-split.gz'))
    await expect(commitLayer(store, { name: 'base', tamper })).rejects.toThrow(/no layer/)
    expect(readFileSync(join(layer.diff, 'base'), 'utf8')).toBe('something else')
    expect(healthOf(store).damaged()).toHaveLength(1)
    expect(inGraph(layer)).toEqual(['diff', 'empty', 'link', 'merged', 'work'])
  })

  test('that was cut short is begun anew after a restart', async () => {
    const layer = await (async () => {
      await using store = await open()
      return await damaged(store)
    })()
    const left = join(dirname(layer.diff), 'replacement/diff')
    mkdirSync(left, { recursive: true })
    await using store = await open()
    expect(existsSync(left)).toBe(false)
    await commitLayer(store, again)
    expect(readdirSync(layer.diff)).toEqual(['base'])
  })

  test.skipIf(!isRoot)('is refused while the layer is mounted, with the place of the mount', async () => {
    await using store = await open()
    const layer = await damaged(store)
    const target = join(dirname(place.root), 'a target')
    mkdirSync(target)
    mountOverlay({ target, base: store.overlayDir, lower: [(await layerIn(store, topId)).short, layer.short] })
    try {
      const failure = { kind: 'layer-in-use', layer: layer.id, mounts: [target] }
      expect(() => healthOf(store).checkReplaceable(layer)).toThrow(target)
      const refused = await commitLayer(store, again).catch((error: unknown) => failureOf(error))
      expect(refused).toEqual(failure)
      expect(readFileSync(join(target, 'base'), 'utf8')).toBe('something else')
      expect(healthOf(store).damaged()).toHaveLength(1)
    } finally {
      unmount(target)
    }
    await commitLayer(store, again)
    expect(readFileSync(join(layer.diff, 'base'), 'utf8')).toBe('content of base')
  })

  test('is done where podman or CRI-O build on it: what they see is the layer they meant', async () => {
    await using store = await open()
    const layer = await damaged(store)
    mkdirSync(join(primary, 'overlay-layers'), { recursive: true })
    writeFileSync(join(primary, 'overlay-layers/layers.json'), JSON.stringify([{ id: 'f'.repeat(64), parent: layer.id }]))
    await commitLayer(store, again)
    expect(readFileSync(join(layer.diff, 'base'), 'utf8')).toBe('content of base')
    // And it stays theirs.
    await store.remove((await store.find(tag))?.id ?? expect.fail())
    expect((await store.collect()).map(({ id }) => id)).toEqual([topId?.(store)])
  })
})
