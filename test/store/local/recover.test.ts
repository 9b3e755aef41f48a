/** What a start finds after a crash, a damaged disk or another version, and what it makes of it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { hexOf, layerIdAbove, layerIds } from '../../../src/oci/digest.ts'
import { linkOf } from '../../../src/store/local/layout.ts'
import { openLocalStore } from '../../../src/store/local/local.ts'
import { migrations } from '../../../src/store/local/schema.ts'
import type { Store } from '../../../src/store/store.ts'
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

/** Open, and with everything in its place: what asks for it waits until it is. */
async function open(): Promise<Store> {
  const store = await openLocalStore({ root: place.root, log }, { signal })
  await store.holdings?.look()
  return store
}
const below = (...path: string[]): string => join(place.root, ...path)
const tarSplits = (): string[] => readdirSync(below('overlay-layers')).filter((name) => name.endsWith('.tar-split.gz'))
/** The ids that podman and CRI-O find listed. */
const listed = (file: string): string[] =>
  z
    .array(z.object({ id: z.string() }))
    .parse(JSON.parse(readFileSync(below(file), 'utf8')))
    .map(({ id }) => id)
const errors = (): string[] => log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)

/** Runs `work` on a store of its own and closes it. */
async function within<T>(work: (store: Store) => Promise<T>): Promise<T> {
  await using store = await open()
  return await work(store)
}

const editDatabase = (sql: string): void => {
  const db = new DatabaseSync(below('windlass.db'))
  db.exec(sql)
  db.close()
}

test('what was being unpacked or removed is gone, and what no record names, too', async () => {
  const id = await within((store) => pullByHand(store, ['base', 'top'], { tag: 'registry.test/app:1' }))
  const stray = 'ab'.repeat(32)
  mkdirSync(below('staging/one/diff/deep'), { recursive: true })
  mkdirSync(below('trash/two/diff'), { recursive: true })
  mkdirSync(below('overlay', stray, 'diff'), { recursive: true })
  symlinkSync(`../${stray}/diff`, below('overlay/l/STRAY'))
  writeFileSync(below('overlay-layers', `${stray}.tar-split.gz`), '')
  rmSync(below('overlay/l', linkOf(layerIdAbove(undefined, diffIdOf('base')))))
  await within(async (store) => {
    expect((await store.images()).map((image) => image.id)).toEqual([id])
    for (const layer of (await store.find(id))?.layerIds ?? [])
      expect(existsSync(join(store.overlayDir, (await store.layer(layer))?.short ?? ''))).toBe(true)
  })
  expect(readdirSync(below('staging'))).toEqual([])
  expect(readdirSync(below('trash'))).toEqual([])
  expect(readdirSync(below('overlay'))).toHaveLength(3)
  expect(readdirSync(below('overlay/l'))).toHaveLength(2)
  expect(tarSplits()).toHaveLength(2)
  expect(errors()).toEqual([])
})

test.each(['overlay', 'overlay-layers'])('an image whose files in %s are gone is dropped, loudly; others stay', async (where) => {
  await within(async (store) => {
    await pullByHand(store, ['base', 'middle', 'top'], { tag: 'registry.test/lost:1' })
    await pullByHand(store, ['base', 'other'], { tag: 'registry.test/kept:1' })
  })
  const [, middle = ''] = layerIds([diffIdOf('base'), diffIdOf('middle')])
  rmSync(where === 'overlay' ? below(where, middle) : below(where, `${middle}.tar-split.gz`), { recursive: true })
  for (let start = 0; start < 2; start++) {
    await within(async (store) => {
      expect((await store.images()).map(({ tags }) => tags)).toEqual([['registry.test/kept:1']])
      expect(await store.layerByDiffId(diffIdOf('top'))).toBeUndefined()
      expect(await store.layerByDiffId(diffIdOf('base'))).toBeDefined()
    })
  }
  expect(errors()).toHaveLength(1)
  await within((store) => pullByHand(store, ['base', 'middle', 'top'], { tag: 'registry.test/lost:1' }))
  await within(async (store) => expect(await store.find('registry.test/lost:1')).toBeDefined())
})

describe('a damaged database is set aside, and the store starts', () => {
  const damages: Record<string, () => void> = {
    garbage: () => writeFileSync(below('windlass.db'), Buffer.alloc(20_000, 0x5a)),
    'cut in half': () => truncateSync(below('windlass.db'), 20_000),
    'a page overwritten': () => {
      const bytes = readFileSync(below('windlass.db'))
      writeFileSync(below('windlass.db'), bytes.fill(0x5a, 4096, 5 * 4096))
    },
  }
  test.each(Object.keys(damages))('%s', async (how) => {
    await within((store) => pullByHand(store, ['base'], { tag: 'registry.test/app:1' }))
    damages[how]?.()
    await within(async (store) => expect(await store.find('registry.test/app:1')).toBeDefined())
    expect(errors()).toHaveLength(2)
    expect(readdirSync(place.root).filter((name) => /^windlass\.db\.damaged-[0-9TZ.-]+$/.test(name))).toHaveLength(1)
    await within(async (store) => expect(await store.find('registry.test/app:1')).toBeDefined())
    expect(errors()).toHaveLength(2)
  })
})

test('an empty file, and a database whose journal is gone, are no damage', async () => {
  mkdirSync(place.root, { mode: 0o700 })
  writeFileSync(below('windlass.lock'), '')
  writeFileSync(below('windlass.db'), '')
  await within((store) => pullByHand(store, ['base'], { tag: 'registry.test/app:1' }))
  rmSync(below('windlass.db-wal'), { force: true })
  await within(async (store) => expect(await store.images()).toHaveLength(1))
  expect(errors()).toEqual([])
})

test('a database of a newer windlass is refused and left as it is', async () => {
  await within((store) => pullByHand(store, ['base'], { tag: 'registry.test/app:1' }))
  editDatabase('PRAGMA user_version = 99')
  await expect(open()).rejects.toMatchObject({ failure: { kind: 'unsupported', mediaType: 'version 99' } })
  editDatabase(`PRAGMA user_version = ${migrations.length}`)
  await within(async (store) => expect(await store.images()).toHaveLength(1))
  expect(errors()).toEqual([])
})

test('a row that cannot be read is made anew of the other records; where they cannot be read either, its image alone is lost', async () => {
  const tags = (): Promise<unknown> => within(async (store) => (await store.images()).map((image) => image.tags).toSorted())
  const both = [['registry.test/bad:1'], ['registry.test/good:1']]
  const id = await within(async (store) => {
    const bad = await pullByHand(store, ['base'], { tag: 'registry.test/bad:1', label: 'bad' })
    await pullByHand(store, ['base'], { tag: 'registry.test/good:1' })
    return bad
  })
  const spoil = (): void => editDatabase(`UPDATE images SET config = '{"platform":' WHERE id = '${id}'`)
  spoil()
  expect(await tags()).toEqual(both)
  expect(errors()).toHaveLength(2)
  expect(await tags()).toEqual(both)
  expect(errors()).toHaveLength(2)
  spoil()
  rmSync(below('overlay-images', hexOf(id)), { recursive: true })
  for (let start = 0; start < 2; start++) expect(await tags()).toEqual([['registry.test/good:1']])
  expect(errors()).toHaveLength(4)
})

test('a disk that cannot be read stops the start, and nothing is dropped', async () => {
  await within((store) => pullByHand(store, ['base'], { tag: 'registry.test/app:1' }))
  renameSync(below('windlass.db'), below('away'))
  mkdirSync(below('windlass.db'))
  await expect(open()).rejects.toMatchObject({ failure: { kind: 'system', code: 'EISDIR' } })
  rmSync(below('windlass.db'), { recursive: true })
  renameSync(below('away'), below('windlass.db'))
  await within(async (store) => expect(await store.images()).toHaveLength(1))
})

test('killed while it pulls: every image it had reported is whole, and nothing else is left', async () => {
  const fixtures = new URL('../fixtures.ts', import.meta.url)
  const module = new URL('../../../src/store/local/local.ts', import.meta.url)
  const program = `const { openLocalStore } = await import(${JSON.stringify(module)})
    const { pullByHand } = await import(${JSON.stringify(fixtures)})
    const store = await openLocalStore({ root: ${JSON.stringify(place.root)} }, { signal: new AbortController().signal })
    let n = (await store.images()).length * 1000
    await Promise.all([1, 2, 3].map(async (lane) => {
      for (;;) {
        const i = n++
        await pullByHand(store, ['base', 'lane' + lane, 'own' + i], { tag: 'registry.test/app:' + i })
        console.log('registry.test/app:' + i)
      }
    }))`
  const reported: string[] = []
  for (const patience of [1, 7, 20]) {
    const puller = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface({ input: puller.stdout })
    let left = patience
    for await (const line of lines) {
      reported.push(line)
      if (--left === 0) puller.kill('SIGKILL')
    }
    if (puller.exitCode === null && puller.signalCode === null) await once(puller, 'exit')
    await within(async (store) => {
      for (const tag of reported) {
        const image = await store.find(tag)
        expect(image?.tags, tag).toContain(tag)
        for (const id of image?.layerIds ?? []) expect(readdirSync((await store.layer(id))?.diff ?? '')).toHaveLength(1)
      }
      const needed = new Set((await store.images()).flatMap((image) => image.layerIds))
      expect(readdirSync(store.overlayDir)).toHaveLength(needed.size + 1)
      expect(tarSplits()).toHaveLength(needed.size)
      expect(listed('overlay-layers/layers.json').toSorted()).toEqual([...needed].toSorted())
      expect(listed('overlay-images/images.json')).toEqual((await store.images()).map(({ id }) => hexOf(id)))
    })
    expect(readdirSync(below('staging'))).toEqual([])
  }
  expect(errors()).toEqual([])
})

test('a store of 2,000 images takes less than a second of CPU time more than an empty one to open', {
  timeout: 120_000,
}, async () => {
  // Most of an empty one's is its thread's, which loads and compiles the code.
  const empty = await leastCpu(2, 0)
  await within(async (store) => {
    await using lease = store.lease()
    const layers = ['base', 'two', 'three']
    await lease.retain([(await commitLayer(store, { name: 'base' })).id])
    await pullByHand(store, layers, { tag: 'registry.test/app:0' })
    const pulls = Array.from({ length: 999 }, (_, i) => {
      const image = imageOver(layers, { tag: `registry.test/app:${i + 1}`, label: `${i} ${'x'.repeat(4000)}` })
      return store.publish(image, { signal })
    })
    await Promise.all(pulls)
    for (let i = 0; i < 1000; i++) await commitLayer(store, { name: `own${i}` })
    await Promise.all(
      Array.from({ length: 1000 }, (_, i) =>
        store.publish(imageOver([`own${i}`], { tag: `registry.test/app:${i}`, label: 'own' }), { signal }),
      ),
    )
  })
  expect((await leastCpu(4, 2000)) - empty).toBeLessThan(1000)
})

/** Milliseconds of CPU time, and the best of some: what else the machine does meanwhile is not the store's, and makes all of them dearer. */
async function leastCpu(starts: number, images: number): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < starts; i++) {
    const before = process.cpuUsage()
    await using store = await open()
    const { user, system } = process.cpuUsage(before)
    times.push((user + system) / 1000)
    expect(await store.images()).toHaveLength(images)
    if (images > 0) expect((await store.usage()).inodesUsed).toBe(2 * 1003)
  }
  return Math.min(...times)
}

test('a directory that another program fills is not taken for a store, and nothing in it is touched', async () => {
  const root = below('foreign')
  const theirs = join(root, 'overlay', 'a'.repeat(64), 'diff')
  mkdirSync(theirs, { recursive: true })
  writeFileSync(join(theirs, 'precious'), 'x')
  await expect(openLocalStore({ root }, { signal })).rejects.toMatchObject({ failure: { kind: 'invalid-argument' } })
  expect(readFileSync(join(theirs, 'precious'), 'utf8')).toBe('x')
  expect(readdirSync(root)).toEqual(['overlay'])
})
