/** Who has to answer before anything else leaves the rest of a start to the first change, or the first collection. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
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

test('where it fails the store is lost, and the log says so', async () => {
  const lost: Error[] = []
  await using store = await open(true, (error) => lost.push(error))
  // A file where a directory must be: nothing can be listed there.
  rmSync(join(place.root, 'trash'), { recursive: true })
  writeFileSync(join(place.root, 'trash'), '')
  await store.collect()
  expect(lost).toHaveLength(1)
  expect(log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
    'what lies in the store could not be brought into line with what is on record',
  ])
})
