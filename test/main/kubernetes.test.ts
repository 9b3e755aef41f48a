import { describe, expect, it } from 'vitest'
import type { ListStanding, Mishap } from '../../src/kube/kube.ts'
import { Reporter } from '../../src/main/kubernetes.ts'
import type { ImageState, QueuedImage } from '../../src/pull/queue.ts'
import { memoryStore, storedImage } from '../rpc/parts.ts'

const app = storedImage('app', { tags: ['r.example/app:1'] })
const here: ImageState = { kind: 'here', image: app.id, at: new Date(), isProtected: true }
const pulling: ImageState = { kind: 'pulling', since: new Date() }
const waiting: ImageState = { kind: 'waiting' }
const failed = (attempts: number): ImageState => ({ kind: 'failed', reason: 'denied', attempts, next: new Date(attempts) })

function setting() {
  const told: ListStanding[][] = []
  const all: boolean[] = []
  const mishaps: Mishap[] = []
  const reporter = new Reporter({
    lists: (standings, areAll) => {
      told.push([...standings])
      all.push(areAll)
    },
    mishap: (mishap) => mishaps.push(mishap),
    [Symbol.asyncDispose]: async () => {},
  })
  const { store } = memoryStore(app)
  let problems: readonly string[] = []
  const tell = async (states: Readonly<Record<string, ImageState>>, lists = ['base']): Promise<ListStanding | undefined> => {
    const images = Object.entries(states).map(([name, state]): QueuedImage => ({ list: 'base', name, priority: 0, state }))
    await reporter.tell({ lists, images, problems }, { store })
    return told.at(-1)?.[0]
  }
  return {
    tell,
    told,
    all,
    mishaps,
    store,
    says: (given: readonly string[]) => {
      problems = given
    },
  }
}

describe('a list', () => {
  it('is whole once every image is here', async () => {
    const { tell } = setting()
    expect(await tell({ a: here, b: waiting })).toMatchObject({ isWhole: false, reason: 'ImagesMissing' })
    expect(await tell({ a: here, b: pulling })).toMatchObject({
      isWhole: false,
      message: '1 of 2 images are not here: b: it is being pulled',
    })
    expect(await tell({ a: here, b: here })).toMatchObject({ isWhole: true, message: '2 images are here, verified' })
    expect(await tell({})).toMatchObject({ isWhole: true })
  })

  it('stays whole while an image is looked for again, and is not once it has gone', async () => {
    const { tell, store } = setting()
    expect(await tell({ 'r.example/app:1': here })).toMatchObject({ isWhole: true })
    expect(await tell({ 'r.example/app:1': pulling })).toMatchObject({ isWhole: true })
    await store.remove(app.id)
    expect(await tell({ 'r.example/app:1': pulling })).toMatchObject({
      isWhole: false,
      message: expect.stringContaining('it has gone'),
    })
    expect(await tell({ 'r.example/app:1': here })).toMatchObject({ isWhole: true })
  })

  it('is not whole where a layer of an image is known to be damaged', async () => {
    const { store } = memoryStore(app)
    const standings: (readonly ListStanding[])[] = []
    const reporter = new Reporter({
      lists: (told) => standings.push(told),
      mishap: () => {},
      [Symbol.asyncDispose]: async () => {},
    })
    const [id] = app.layerIds
    const damaged = id === undefined ? [] : [{ id } as never]
    const health = { damaged: () => damaged, mark: async () => {}, checkReplaceable: () => {} }
    const images: QueuedImage[] = [{ list: 'base', name: 'r.example/app:1', priority: 0, state: here }]
    await reporter.tell({ lists: ['base'], images, problems: [] }, { store: { ...store, health } })
    expect(standings[0]).toMatchObject([{ isWhole: false, message: expect.stringContaining('a layer of it is damaged') }])
  })

  it('names some of what it lacks, and says when something failed', async () => {
    const { tell } = setting()
    const standing = await tell(Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`i${at}`, failed(1)])))
    expect(standing).toMatchObject({ isWhole: false, reason: 'PullFailed' })
    expect(standing?.message).toMatch(/^9 of 9 images are not here: i0: denied; .*i4: denied; and 4 more$/)
  })
})

describe('what went wrong', () => {
  it('is told once for each attempt', async () => {
    const { tell, mishaps } = setting()
    await tell({ a: failed(1) })
    await tell({ a: failed(1) })
    await tell({ a: pulling })
    await tell({ a: failed(1) })
    expect(mishaps).toEqual([
      {
        reason: 'PrepullFailed',
        subject: 'base a',
        message: 'a of the image list base was not pulled (attempt 1): denied',
      },
    ])
    await tell({ a: failed(2) })
    await tell({ a: here })
    await tell({ a: failed(1) })
    expect(mishaps.map(({ message }) => message.match(/attempt \d/)?.[0])).toEqual(['attempt 1', 'attempt 2', 'attempt 1'])
  })

  it('with a file is told once, and lists it may have declared are not taken for gone', async () => {
    const { tell, mishaps, says, all } = setting()
    await tell({ a: here })
    says(['base.yaml:3: unknown key'])
    await tell({ a: here })
    await tell({ a: here })
    says([])
    await tell({ a: here })
    expect(mishaps).toEqual([
      { reason: 'ImageListRefused', subject: 'base.yaml:3: unknown key', message: 'base.yaml:3: unknown key' },
    ])
    expect(all).toEqual([true, false, false, true])
  })
})
