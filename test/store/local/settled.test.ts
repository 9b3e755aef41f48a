/** Who has to answer before anything else leaves the rest of a start to the first change, or the first collection. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { openLocalStore } from '../../../src/store/local/local.ts'
import type { Store } from '../../../src/store/store.ts'
import { pullByHand } from '../fixtures.ts'
import { recordingLog, temporaryRoot } from './place.ts'

const { signal } = new AbortController()
let place: ReturnType<typeof temporaryRoot>
let log: ReturnType<typeof recordingLog>

const open = (settlesLater: boolean, onLost?: (error: Error) => void): Promise<Store> =>
  openLocalStore(
    { root: place.root, primaryGraphRoots: [], log, settlesLater, ...(onLost === undefined ? {} : { onLost }) },
    { signal },
  )
const listed = (): string => readFileSync(join(place.root, 'overlay-images/images.json'), 'utf8')

const TORN = '[{"id'
let whole: string

beforeEach(async () => {
  place = temporaryRoot()
  log = recordingLog()
  {
    await using store = await open(false)
    await pullByHand(store, ['base'], { tag: 'registry.test/app:1' })
  }
  whole = listed()
  writeFileSync(join(place.root, 'overlay-images/images.json'), TORN)
})
afterEach(() => place[Symbol.dispose]())

test('it is begun at once where nobody asks for less', async () => {
  await using _store = await open(false)
  await vi.waitFor(() => expect(listed()).toBe(whole), { timeout: 20_000, interval: 5 })
})

test('questions are answered without it', async () => {
  await using store = await open(true)
  expect((await store.images()).map(({ tags }) => tags)).toEqual([['registry.test/app:1']])
  expect(await store.find('registry.test/app:1')).toBeDefined()
  expect(listed()).toBe(TORN)
})

test('a collection is preceded by it', async () => {
  await using store = await open(true)
  expect(await store.collect()).toEqual([])
  expect(listed()).toBe(whole)
})

test('so is a change, of something else even', async () => {
  await using store = await open(true)
  const [image] = await store.images()
  if (image === undefined) throw new Error('no image')
  await store.pin(image.id, { owner: 'test', reason: 'why not', since: new Date() })
  expect(listed()).toBe(whole)
})

test('so is the end of the store', async () => {
  await (await open(true))[Symbol.asyncDispose]()
  expect(listed()).toBe(whole)
})

/** A directory where a file must be, or the other way round, of which nothing that is wanted is made. */
const odd: Readonly<Record<string, (at: (...path: string[]) => string) => void>> = {
  'a directory by the name of a tar-split file': (at) =>
    mkdirSync(at('overlay-layers', `${'ab'.repeat(32)}.tar-split.gz`, 'deep'), { recursive: true }),
  'a directory by a short name': (at) => mkdirSync(at('overlay/l/STRAY/deep'), { recursive: true }),
  'a directory in place of the reserve': (at) => {
    rmSync(at('windlass.reserve'))
    mkdirSync(at('windlass.reserve/deep'), { recursive: true })
  },
}

test.each(Object.keys(odd))('%s is removed, and nothing is lost', async (what) => {
  const at = (...path: string[]): string => join(place.root, ...path)
  odd[what]?.(at)
  const lost: Error[] = []
  {
    await using store = await open(true, (error) => lost.push(error))
    await store.collect()
  }
  expect(lost).toEqual([])
  expect(log.lines.filter(({ level }) => level === 'error')).toEqual([])
  expect(listed()).toBe(whole)
  expect(readdirSync(at('overlay/l'))).not.toContain('STRAY')
  expect(readdirSync(at('overlay-layers')).filter((name) => name.endsWith('.gz'))).toHaveLength(1)
  expect(readdirSync(at('trash'))).toEqual([])
})

test('what cannot be removed stays, with a line in the log for each, and the rest is done', async () => {
  const stray = 'ab'.repeat(32)
  const at = (...path: string[]): string => join(place.root, ...path)
  const lost: Error[] = []
  await using store = await open(true, (error) => lost.push(error))
  mkdirSync(at('overlay', stray, 'diff'), { recursive: true })
  writeFileSync(at('overlay-layers', `${stray}.tar-split.gz`), '')
  const [link = ''] = readdirSync(at('overlay/l'))
  rmSync(at('overlay/l', link))
  // A file where a directory must be: nothing can be moved there.
  rmSync(at('trash'), { recursive: true })
  writeFileSync(at('trash'), '')
  await store.collect()
  expect(lost).toEqual([])
  const told = log.lines
    .filter(({ message }) => message.startsWith('this is not as it should be'))
    .map(({ fields }) => fields.path)
  expect(told).toEqual([at('overlay', stray), at('overlay-layers', `${stray}.tar-split.gz`), at('trash')])
  expect(readdirSync(at('overlay/l'))).toEqual([link])
  expect(listed()).toBe(whole)
})

test('a layer that another store needs, and of which cannot be told what it lies on, stays with all others', async () => {
  const [top, below] = ['ab', 'cd'].map((byte) => byte.repeat(32))
  const other = `${place.root}-other`
  mkdirSync(join(other, 'overlay-layers'), { recursive: true })
  writeFileSync(join(other, 'overlay-layers/layers.json'), JSON.stringify([{ id: 'theirs', parent: top }]))
  mkdirSync(join(place.root, `overlay/${top}/lower`), { recursive: true })
  mkdirSync(join(place.root, `overlay/${below}/diff`), { recursive: true })
  const lost: Error[] = []
  {
    const options = { root: place.root, primaryGraphRoots: [other], log, onLost: (error: Error) => lost.push(error) }
    await using store = await openLocalStore(options, { signal })
    await store.collect()
  }
  expect(lost).toEqual([])
  expect(readdirSync(join(place.root, 'overlay'))).toEqual(expect.arrayContaining([top, below]))
})

test('one image whose documents cannot be written does not hide the others', async () => {
  const images = join(place.root, 'overlay-images')
  {
    await using store = await open(false)
    await pullByHand(store, ['other'], { tag: 'registry.test/other:1' })
  }
  whole = listed()
  const [first = ''] = readdirSync(images, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  // A directory in place of the document.
  rmSync(join(images, first, 'manifest'))
  mkdirSync(join(images, first, 'manifest'))
  await using store = await open(true)
  await store.collect()
  const shown = z.array(z.object({ id: z.string() })).parse(JSON.parse(listed()))
  expect(shown).toHaveLength(1)
  expect(shown[0]?.id).not.toBe(first)
  expect(log.lines.filter(({ level }) => level === 'error')).toMatchObject([{ fields: { images: [`sha256:${first}`] } }])
})

test('where the records cannot be read the store is lost, and the log says so', async () => {
  const lost: Error[] = []
  await using store = await open(true, (error) => lost.push(error))
  const database = new DatabaseSync(join(place.root, 'windlass.db'))
  database.exec('PRAGMA foreign_keys = OFF; DROP TABLE tags')
  database.close()
  await store.collect()
  expect(lost).toHaveLength(1)
  expect(log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
    'what lies in the store could not be brought into line with what is on record',
  ])
})
