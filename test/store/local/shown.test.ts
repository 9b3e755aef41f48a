/** What podman and CRI-O find in the store follows the database through every change, and again after whatever a crash left. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { hexOf, layerIds, sha256 } from '../../../src/oci/digest.ts'
import { openLocalStore } from '../../../src/store/local/local.ts'
import type { NewImage, Store } from '../../../src/store/store.ts'
import { mounted } from '../../integration/process.ts'
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
  const store = await openLocalStore({ root: place.root, primaryGraphRoots: [], log }, { signal })
  await store.holdings?.look()
  return store
}
const below = (...path: string[]): string => join(place.root, ...path)
const tag = 'registry.test/app:1'

async function within<T>(work: (store: Store) => Promise<T>): Promise<T> {
  await using store = await open()
  return await work(store)
}

const imageEntries = z.array(z.looseObject({ id: z.string(), names: z.array(z.string()).default([]) }))
const layerEntries = z.array(z.looseObject({ id: z.string() }))
const IMAGES = 'overlay-images/images.json'
const LAYERS = 'overlay-layers/layers.json'
const parsed = (file: string): unknown => JSON.parse(readFileSync(below(file), 'utf8'))
const names = (): Record<string, readonly string[]> =>
  Object.fromEntries(imageEntries.parse(parsed(IMAGES)).map(({ id, names: all }) => [`sha256:${id}`, all]))
const layers = (): readonly string[] => layerEntries.parse(parsed(LAYERS)).map(({ id }) => id)
const tokens = (): readonly string[] =>
  ['overlay-layers/layers.lock', 'overlay-images/images.lock'].map((lock) => readFileSync(below(lock), 'hex'))

/** Which files' readers are told by what `work` does. */
async function told<T>(work: () => Promise<T>): Promise<{ readonly told: string; readonly value: T }> {
  const before = tokens()
  const value = await work()
  const after = tokens()
  return { told: ['layers', 'images'].filter((_, i) => before[i] !== after[i]).join(' and '), value }
}

test('an empty store has everything a reader opens', async () => {
  await within(async () => {
    expect(names()).toEqual({})
    expect(layers()).toEqual([])
    expect(tokens().map(({ length }) => length / 2)).toEqual([64, 64])
  })
})

test('publishing, moving a tag, removing and collecting each tell the readers of what changed', async () => {
  await within(async (store) => {
    const old = await told(() => pullByHand(store, ['base', 'top'], { tag, label: 'old' }))
    expect(old.told).toBe('layers and images')
    expect(layers()).toEqual(layerIds([diffIdOf('base'), diffIdOf('top')]))
    expect(names()).toEqual({ [old.value]: [tag] })

    // The image the tag leaves can still be asked for by the digest it came with.
    const now = await told(() => pullByHand(store, ['base'], { tag, label: 'now' }))
    expect(now.told).toBe('images')
    expect(names()).toEqual({ [old.value]: [imageOver(['base', 'top'], { tag, label: 'old' }).digest], [now.value]: [tag] })

    expect(await told(() => store.remove(old.value))).toEqual({ told: 'images', value: true })
    expect(names()).toEqual({ [now.value]: [tag] })
    expect(existsSync(below('overlay-images', hexOf(old.value)))).toBe(false)
    expect((await told(() => store.collect())).told).toBe('layers')
    expect(layers()).toEqual(layerIds([diffIdOf('base')]))
    expect(await told(() => store.untag(tag))).toEqual({ told: 'images', value: true })
    expect(await told(() => store.untag(tag))).toEqual({ told: '', value: false })
    expect((await told(() => store.collect())).told).toBe('layers')
    expect([names(), layers()]).toEqual([{}, []])
    expect(readdirSync(below('overlay-images')).toSorted()).toEqual(['images.json', 'images.lock'])
  })
})

describe('a name is in one image only', () => {
  const byDigest = (image: NewImage, digest: string): NewImage => ({ ...image, digest })
  test('of two images that one index names, the newest has its digest, and the other when that one goes', async () => {
    await within(async (store) => {
      const digest = `registry.test/multi@${sha256('the index')}`
      await using lease = store.lease()
      await lease.retain([(await commitLayer(store, { name: 'base' })).id])
      const [one, two] = [imageOver(['base'], { label: 'one' }), imageOver(['base'], { label: 'two' })]
      for (const image of [one, two]) await store.publish(byDigest(image, digest), { signal })
      expect(names()).toEqual({ [one.id]: [], [two.id]: [digest] })
      await store.remove(two.id)
      expect(names()).toEqual({ [one.id]: [digest] })
    })
  })

  test('tags come newest first, and then the digests somebody asked for', async () => {
    await within(async (store) => {
      const id = await pullByHand(store, ['base'], { tag })
      await pullByHand(store, ['base'], { tag: 'registry.test/app:2' })
      await pullByHand(store, ['base'], {})
      expect(names()).toEqual({ [id]: ['registry.test/app:2', tag, imageOver(['base'], {}).digest] })
    })
  })
})

describe('a start mends', () => {
  const damages: Readonly<Record<string, () => void>> = {
    'what is missing': () => {
      for (const file of [IMAGES, LAYERS]) rmSync(below(file))
    },
    'what is torn': () => {
      for (const file of [IMAGES, LAYERS]) truncateSync(below(file), 10)
    },
    'what is stale': () => {
      for (const file of [IMAGES, LAYERS]) writeFileSync(below(file), '[]')
    },
    'lock files that are missing or short': () => {
      rmSync(below('overlay-layers/layers.lock'))
      truncateSync(below('overlay-images/images.lock'), 3)
    },
    "an image's documents": () =>
      rmSync(below('overlay-images', hexOf(imageOver(['base', 'top'], { tag }).id)), { recursive: true }),
    'a document that was cut short': () => {
      const directory = below('overlay-images', hexOf(imageOver(['base', 'top'], { tag }).id))
      for (const name of readdirSync(directory)) truncateSync(join(directory, name), 0)
    },
    'documents of an image that is not here': () => mkdirSync(below('overlay-images', 'ab'.repeat(32))),
    'what a write that was cut short has left': () => writeFileSync(below(`${IMAGES}.new`), '['),
  }
  const contents = (): unknown => {
    const directories = ['overlay-images', `overlay-images/${hexOf(imageOver(['base', 'top'], { tag }).id)}`, 'overlay-layers']
    return directories.map((directory) =>
      readdirSync(below(directory), { withFileTypes: true })
        .filter((entry) => !entry.name.endsWith('.lock') && !entry.name.endsWith('.new'))
        .map((entry) => [entry.name, entry.isFile() ? readFileSync(below(directory, entry.name), 'utf8') : 'directory']),
    )
  }
  test.each(Object.keys(damages))('%s', async (what) => {
    await within((store) => pullByHand(store, ['base', 'top'], { tag }))
    const [wanted, before] = [contents(), tokens()]
    damages[what]?.()
    await within(async () => {
      expect(contents()).toEqual(wanted)
      expect(tokens().map(({ length }) => length / 2)).toEqual([64, 64])
      // Whatever readers believe, they look again.
      expect(tokens().filter((each) => before.includes(each))).toEqual([])
    })
    expect(log.lines.filter(({ level }) => level !== 'info')).toEqual([])
  })

  test('a database from before, which knows nothing of blobs and owners', async () => {
    await within((store) => pullByHand(store, ['base'], { tag }))
    const db = new DatabaseSync(below('windlass.db'))
    db.exec(`ALTER TABLE layers DROP COLUMN blob; ALTER TABLE layers DROP COLUMN owners; ALTER TABLE layers DROP COLUMN damage;
             ALTER TABLE layers ADD COLUMN implied TEXT NOT NULL DEFAULT '[]';
             DROP TABLE pins; DROP TABLE edition; DROP TABLE receipts; ALTER TABLE images DROP COLUMN used_at; ALTER TABLE images ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0; PRAGMA user_version = 1`)
    db.close()
    for (const directory of ['overlay-images', 'overlay-layers'])
      for (const name of readdirSync(below(directory)))
        if (!name.endsWith('.gz')) rmSync(below(directory, name), { recursive: true })
    await within(async (store) => {
      expect(await store.images()).toHaveLength(1)
      expect(Object.values(names())).toEqual([[tag]])
      const [entry] = layerEntries.parse(parsed(LAYERS))
      expect(Object.keys(entry ?? {})).toEqual(['id', 'created', 'diff-digest', 'diff-size', 'flags'])
      await pullByHand(store, ['other'], { tag: 'registry.test/other:1' })
      expect(layerEntries.parse(parsed(LAYERS)).at(-1)).toMatchObject({
        uidset: [process.getuid?.()],
        gidset: [process.getgid?.()],
      })
    })
  })
})

describe.skipIf(process.getuid?.() !== 0)('on a full disk', () => {
  const fill = (): void => {
    const chunk = Buffer.alloc(4096)
    const fd = openSync(below('filler'), 'w')
    try {
      for (;;) writeSync(fd, chunk)
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' })
    } finally {
      closeSync(fd)
    }
  }
  test('a publish fails and changes nothing; removals work, and make room', async () => {
    mkdirSync(place.root)
    using _disk = mounted(place.root, ['-t', 'tmpfs', '-o', 'size=16M,mode=0700', 'tmpfs'])
    await using store = await open()
    await using lease = store.lease()
    await lease.retain([(await commitLayer(store, { name: 'base' })).id])
    const labelled = (i: number): NewImage => imageOver(['base'], { tag: `registry.test/app:${i}`, label: String(i) })
    await Promise.all(Array.from({ length: 200 }, (_, i) => store.publish(labelled(i), { signal })))
    fill()
    const [before, was] = [readFileSync(below(IMAGES)), tokens()]
    await expect(store.publish(labelled(200), { signal })).rejects.toMatchObject({ failure: { kind: 'no-space' } })
    expect([readFileSync(below(IMAGES)), tokens()]).toEqual([before, was])
    expect(await store.find('registry.test/app:200')).toBeUndefined()

    expect(await store.remove(labelled(0).id)).toBe(true)
    expect(Object.keys(names())).toHaveLength(199)
    rmSync(below('filler'))
    await store.publish(labelled(200), { signal })
    expect(Object.values(names()).flat()).toContain('registry.test/app:200')
  })
})

test("a layer's blob is told where it was fetched, and not where a manifest merely claims it", async () => {
  await within(async (store) => {
    await using lease = store.lease()
    await lease.retain(layerIds([diffIdOf('fetched')]))
    const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha256('a blob'), size: 77 }
    await commitLayer(store, { name: 'fetched', blob })
    await store.publish(imageOver(['fetched'], { tag }), { signal })
    await pullByHand(store, ['claimed'], { tag: 'registry.test/claimed:1' })
    const [fetched, claimed] = layerEntries.parse(parsed(LAYERS))
    expect(fetched).toMatchObject({ 'compressed-diff-digest': blob.digest, 'compressed-size': 77, compression: 2 })
    expect(claimed).not.toHaveProperty('compressed-diff-digest')
  })
})

test('a blob of a kind that is not known here is left out: a store that a later version has written opens all the same', async () => {
  await within(async (store) => {
    await using lease = store.lease()
    await lease.retain(layerIds([diffIdOf('fetched')]))
    const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha256('a blob'), size: 77 }
    await commitLayer(store, { name: 'fetched', blob })
    await store.publish(imageOver(['fetched'], { tag }), { signal })
  })
  const db = new DatabaseSync(below('windlass.db'))
  db.exec("UPDATE layers SET blob = replace(blob, '+gzip', '+newer')")
  db.close()
  await within(async (store) => {
    expect(await store.images()).toHaveLength(1)
    const [entry] = layerEntries.parse(parsed(LAYERS))
    expect(Object.keys(entry ?? {})).toEqual(['id', 'created', 'diff-digest', 'diff-size', 'uidset', 'gidset', 'flags'])
  })
})
