/** Over a store on disk; what the disk says is the test's. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { failureOf } from '../../src/failure/failure.ts'
import type { Watermarks } from '../../src/gc/choose.ts'
import type { Disk } from '../../src/gc/disk.ts'
import { measureDisk } from '../../src/gc/disk.ts'
import { createCollector } from '../../src/gc/gc.ts'
import { Housekeeper } from '../../src/gc/housekeeper.ts'
import { pinImage, unpinImage } from '../../src/gc/pinning.ts'
import { why } from '../../src/gc/why.ts'
import { layerIds } from '../../src/oci/digest.ts'
import type { ComingLayer } from '../../src/store/coming.ts'
import { openLocalStore } from '../../src/store/local/local.ts'
import { RULE_OWNER } from '../../src/store/pins.ts'
import type { Store } from '../../src/store/store.ts'
import { mountOverlay, unmount } from '../../src/sys/mount.ts'
import { memoryStore } from '../rpc/parts.ts'
import { commitLayer, diffIdOf, imageOver, pullByHand } from '../store/fixtures.ts'
import { recordingLog, temporaryRoot } from '../store/local/place.ts'

const { signal } = new AbortController()
const isRoot = process.getuid?.() === 0
const marks: Watermarks = { highPercent: 85, lowPercent: 80, minAgeMs: 0 }

/** A disk of which so much is free, plus what has gone from the store since. */
function diskOf(store: Store, free: number, total = 1_000_000): (path: string) => Promise<Disk> {
  let before: number | undefined
  return async (path) => {
    const { usedBytes } = await store.usage()
    before ??= usedBytes
    const availableBytes = free + before - usedBytes
    return {
      path,
      totalBytes: total,
      availableBytes,
      totalInodes: 0,
      availableInodes: 0,
      usedPercent: (100 * (total - availableBytes)) / total,
    }
  }
}

function keeperOf(store: Store, free: number, watermarks = marks) {
  const log = recordingLog()
  const keeper = new Housekeeper({ store, collector: createCollector(store), watermarks, log, measure: diskOf(store, free) })
  return { keeper, log }
}

const empty = (availableBytes: number): Disk => ({
  path: '/',
  totalBytes: 0,
  availableBytes,
  totalInodes: 0,
  availableInodes: 0,
  usedPercent: 50,
})
const noCollector = { collect: async () => ({ layers: 0, bytes: 0 }) }

/** One with nothing in its store, on a disk of which so much is free. */
function keeperOverNothing({ measure }: { readonly measure: () => number }) {
  const { holdings } = memoryStore().store
  const keeper = new Housekeeper({
    store: { overlayDir: '/', holdings },
    collector: noCollector,
    watermarks: marks,
    log: recordingLog(),
    measure: async () => empty(measure()),
  })
  return { keeper, holdings }
}

const tags = async (store: Store): Promise<string[]> => (await store.images()).flatMap((image) => [...image.tags])
const refusal = async (work: Promise<unknown>) =>
  failureOf(
    await work.then(
      () => undefined,
      (error: unknown) => error,
    ),
  )

describe('the housekeeper', () => {
  test('says what would go, changes nothing, and then does just that', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    await pullByHand(store, ['base', 'old'], { tag: 'r.test/old:1' })
    await pullByHand(store, ['base', 'new'], { tag: 'r.test/new:1' })
    await commitLayer(store, { name: 'loose' })
    const { keeper, log } = keeperOf(store, 140_000)
    const layer = (await store.usage()).usedBytes / 4
    const plan = await keeper.sweep({ dryRun: true, freeBytes: 140_000 + 2 * layer })
    expect(plan.images.map(({ image, reason }) => [image.tags[0], reason])).toEqual([['r.test/old:1', 'asked']])
    expect([plan.layers, plan.bytes]).toEqual([2, 2 * layer])
    expect(plan.stays.map(({ reason }) => reason)).toEqual(['not-needed'])
    expect(await tags(store)).toEqual(['r.test/old:1', 'r.test/new:1'])
    const done = await keeper.sweep({ dryRun: false, freeBytes: 140_000 + 2 * layer })
    expect([done.layers, done.bytes, done.disk.availableBytes]).toEqual([2, 2 * layer, 140_000 + 2 * layer])
    expect(await tags(store)).toEqual(['r.test/new:1'])
    expect(log.lines.map(({ message }) => message)).toEqual(['removed to make room'])
  })

  test('removes nothing for what cannot be free whatever goes, and says so', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
    const { keeper } = keeperOf(store, 140_000)
    for (const dryRun of [true, false])
      await expect(keeper.sweep({ dryRun, freeBytes: 1e9 })).rejects.toThrow(/of 1000 MB wanted below .* nothing was removed/)
    expect(await tags(store)).toEqual(['r.test/one:1'])
  })

  test('by itself goes by the watermarks', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    for (const name of ['one', 'two', 'three']) await pullByHand(store, [name], { tag: `r.test/${name}:1` })
    const { keeper: content } = keeperOf(store, 150_001)
    expect((await content.sweep({ dryRun: false })).images).toEqual([])
    const layer = (await store.usage()).usedBytes / 3
    const { keeper } = keeperOf(store, 150_000 - layer, { ...marks, lowPercent: 85 })
    expect((await keeper.sweep({ dryRun: false })).images).toHaveLength(1)
    expect(await tags(store)).toEqual(['r.test/two:1', 'r.test/three:1'])
  })

  test('notes every minute what pulls need as used, and not what somebody only reads', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    const needed = await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
    await pullByHand(store, ['two'], { tag: 'r.test/two:1' })
    await using pulling = store.lease()
    await pulling.retain(store.layerIds([diffIdOf('one')]))
    await using reading = store.lease('read')
    await reading.retain(store.layerIds([diffIdOf('two')]))
    const noted = Promise.withResolvers<readonly string[]>()
    Object.assign(store.holdings ?? expect.fail(), { used: noted.resolve })
    const ending = new AbortController()
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      keeperOf(store, 500_000).keeper.start(ending)
      vi.advanceTimersByTime(60_000)
      expect(await noted.promise).toEqual([needed])
    } finally {
      ending.abort()
      vi.useRealTimers()
    }
  })

  test('that takes longer than a minute over the disk does not begin again before its end', async () => {
    const { keeper, holdings } = keeperOverNothing({ measure: () => 10 })
    const inventory = await holdings.look()
    const looked = Promise.withResolvers<typeof inventory>()
    let looks = 0
    holdings.look = () => {
      looks++
      return looked.promise
    }
    const ending = new AbortController()
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      keeper.start(ending)
      vi.advanceTimersByTime(5 * 60_000)
      expect(looks).toBe(1)
    } finally {
      ending.abort()
      vi.useRealTimers()
      looked.resolve(inventory)
    }
  })

  test('what was used is remembered over a restart, and goes last', async () => {
    using place = temporaryRoot()
    {
      await using store = await openLocalStore({ root: place.root }, { signal })
      const first = await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
      await pullByHand(store, ['two'], { tag: 'r.test/two:1' })
      store.holdings?.used([first])
    }
    await using store = await openLocalStore({ root: place.root }, { signal })
    const { keeper } = keeperOf(store, 0)
    const layer = (await store.usage()).usedBytes / 2
    await keeper.sweep({ dryRun: false, freeBytes: layer })
    expect(await tags(store)).toEqual(['r.test/one:1'])
  })
})

/** Layers that a pull waits for, none begun unless `more` says otherwise. */
const coming = (likely: number, more: Partial<ComingLayer> = {}): ComingLayer => ({
  id: layerIds([diffIdOf(`coming ${likely}`)])[0] ?? expect.fail(),
  likely,
  least: likely,
  arrived: 0,
  hasBegun: false,
  isDue: false,
  ...more,
})
const MIB = 2 ** 20

describe('room for a pull', () => {
  test('is made from what may go; what others were promised and has not come counts', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
    await pullByHand(store, ['two'], { tag: 'r.test/two:1' })
    const layer = (await store.usage()).usedBytes / 2
    // A hundredth of the disk is for everybody else.
    const { keeper } = keeperOf(store, 10_000 + 10_000)
    let left = [coming(9_000)]
    using _first = await keeper.room.reserve(() => left, { signal })
    expect(await tags(store)).toHaveLength(2)
    {
      using _second = await keeper.room.reserve(() => [coming(1_001, { least: 1_000 })], { signal })
      expect(await tags(store)).toEqual(['r.test/two:1'])
      expect(await refusal(keeper.room.reserve(() => [coming(layer * 3)], { signal }))).toMatchObject({
        kind: 'no-space',
        needs: layer * 3,
        missing: layer * 3 + 9_000 + 1_000 - (10_000 + layer + layer),
      })
      expect(await tags(store)).toEqual(['r.test/two:1'])
    }
    left = []
    using _third = await keeper.room.reserve(() => [coming(10_000 + layer, { least: 1 })], { signal })
    expect(await tags(store)).toEqual(['r.test/two:1'])
  })

  test('is not made for what a manifest claims, but for what has come', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
    await pullByHand(store, ['two'], { tag: 'r.test/two:1' })
    const layer = (await store.usage()).usedBytes / 2
    let free = 100 * MIB
    const nothing = diskOf(store, 10_000)
    const measure = async (path: string) => {
      const disk = await nothing(path)
      return { ...disk, availableBytes: disk.availableBytes + free }
    }
    const keeper = new Housekeeper({ store, collector: createCollector(store), watermarks: marks, log: recordingLog(), measure })
    let left = coming(100 * MIB + layer)
    using _pull = await keeper.room.reserve(() => [left], { signal })
    left = { ...left, hasBegun: true, arrived: 1 }
    await keeper.room.arrived(1)
    expect(await tags(store)).toHaveLength(2)
    // Nobody is asked again for every byte.
    expect(keeper.room.arrived(MIB)).toBeUndefined()
    left = { ...left, likely: layer - MIB, least: layer, arrived: 100 * MIB }
    free = 0
    await keeper.room.arrived(100 * MIB)
    expect(await tags(store)).toEqual(['r.test/two:1'])
  })

  test('is made where inodes are short, though there are bytes', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    for (const name of ['one', 'two', 'three']) await pullByHand(store, [name], { tag: `r.test/${name}:1` })
    const { inodesUsed } = await store.usage()
    const each = inodesUsed / 3
    const totalInodes = each * 100
    let others = 0
    // Of all inodes one in a hundred is for everybody else, and one in fifty for what comes next: an image's three times.
    const measure = async (path: string): Promise<Disk> => {
      const availableInodes = 2 * each - others + inodesUsed - (await store.usage()).inodesUsed
      return { ...empty(MIB * 1000), path, totalInodes, availableInodes }
    }
    const keeper = new Housekeeper({ store, collector: createCollector(store), watermarks: marks, log: recordingLog(), measure })
    using _pull = await keeper.room.reserve(() => [coming(10 * MIB)], { signal })
    expect(await tags(store)).toEqual(['r.test/two:1', 'r.test/three:1'])
    expect(keeper.room.arrived(1)).toBeUndefined()
    others = each
    await keeper.room.arrived(MIB)
    expect(await tags(store)).toEqual(['r.test/three:1'])
  })

  test('is not refused for what has come already', async () => {
    let free = 100
    const { keeper } = keeperOverNothing({ measure: () => free })
    let left = coming(80)
    using _first = await keeper.room.reserve(() => [left], { signal })
    left = { ...left, likely: 20, least: 20, arrived: 60 }
    free = 40
    using _second = await keeper.room.reserve(() => [coming(19)], { signal })
    expect(await refusal(keeper.room.reserve(() => [coming(21)], { signal }))).toMatchObject({ missing: 20 })
  })

  test('weights of 30 GB fit on 45 GB: what a layer claims is all that it is refused for', async () => {
    const { keeper } = keeperOverNothing({ measure: () => 45e9 })
    using _pull = await keeper.room.reserve(() => [coming(81e9, { least: 30e9 })], { signal })
    expect(await refusal(keeper.room.reserve(() => [coming(16e9)], { signal }))).toMatchObject({ kind: 'no-space', missing: 1e9 })
  })

  test('is what a failed pull has left, once that is unlinked: no pull is refused for it', async () => {
    let free = 10
    const { keeper, holdings } = keeperOverNothing({ measure: () => free })
    holdings.unlinked = async () => {
      free = 100
    }
    using _pull = await keeper.room.reserve(() => [coming(80)], { signal })
    expect(await refusal(keeper.room.reserve(() => [coming(21)], { signal }))).toMatchObject({ kind: 'no-space', missing: 1 })
  })

  test('no image goes for what a failed pull has left', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
    let free = 0
    const nothing = diskOf(store, 10_000)
    const measure = async (path: string) => {
      const disk = await nothing(path)
      return { ...disk, availableBytes: disk.availableBytes + free }
    }
    const { holdings } = store
    if (holdings === undefined) throw new Error('a store of ours says what holds what')
    using _unlinked = vi.spyOn(holdings, 'unlinked').mockImplementation(async () => {
      free = 10 * MIB
    })
    const keeper = new Housekeeper({ store, collector: createCollector(store), watermarks: marks, log: recordingLog(), measure })
    using _pull = await keeper.room.reserve(() => [coming(MIB, { least: 1 })], { signal })
    expect(await tags(store)).toEqual(['r.test/one:1'])
  })

  test('nobody waits for it longer than he wants to, nor for files that others have unlinked', async () => {
    const unlinked = Promise.withResolvers<void>()
    const { keeper, holdings } = keeperOverNothing({ measure: () => 10 })
    holdings.unlinked = () => unlinked.promise
    const sweeping = keeper.sweep({ dryRun: false })
    expect((await keeper.sweep({ dryRun: true })).images).toEqual([])
    const leaving = new AbortController()
    const reserving = keeper.room.reserve(() => [coming(20, { least: 1 })], leaving)
    leaving.abort(new Error('enough'))
    await expect(reserving).rejects.toThrow('enough')
    unlinked.resolve()
    expect((await sweeping).layers).toBe(0)
  })

  test('in a runtime’s store is only asked for: what is there goes by the runtime', async () => {
    const measure = async (path: string): Promise<Disk> => ({ ...empty(50), path })
    const keeper = new Housekeeper({
      store: { overlayDir: '/' },
      collector: noCollector,
      watermarks: marks,
      log: recordingLog(),
      measure,
    })
    using _there = await keeper.room.reserve(() => [coming(90, { least: 50 })], { signal })
    expect(keeper.room.arrived(1e9)).toBeUndefined()
    expect(await refusal(keeper.room.reserve(() => [coming(1)], { signal }))).toMatchObject({ kind: 'no-space', missing: 1 })
    expect(await refusal(keeper.sweep({ dryRun: true }))).toMatchObject({ kind: 'invalid-argument', what: 'gc' })
  })

  test('the disk is measured', async () => {
    const disk = await measureDisk('/')
    expect(disk.totalBytes).toBeGreaterThan(disk.availableBytes)
    expect(disk.usedPercent).toBeGreaterThan(0)
    expect(await refusal(measureDisk('/not/there'))).toMatchObject({ kind: 'system', code: 'ENOENT' })
  })
})

describe('pins', () => {
  test('by command: one for each owner, over a restart, back by owner or all at once', async () => {
    using place = temporaryRoot()
    const id = await (async () => {
      await using store = await openLocalStore({ root: place.root }, { signal })
      const id = await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
      await pinImage(store, 'r.test/one:1', { owner: 'ops', reason: 'first', ttlMs: 1000 })
      await pinImage(store, 'r.test/one:1', { owner: 'ops', reason: 'second' })
      await pinImage(store, id, { owner: 'ci', reason: '', ttlMs: 3_600_000 })
      return id
    })()
    await using store = await openLocalStore({ root: place.root }, { signal })
    expect((await store.find(id))?.pins).toMatchObject([
      { owner: 'ops', reason: 'second' },
      { owner: 'ci', until: expect.any(Date) },
    ])
    const { keeper } = keeperOf(store, 0)
    expect((await keeper.sweep({ dryRun: false, freeBytes: 0 })).stays).toMatchObject([
      { reason: 'pinned', detail: 'by ops, ci' },
    ])
    expect((await unpinImage(store, id, 'nobody')).pins).toEqual([])
    expect((await unpinImage(store, id, 'ops')).pins).toMatchObject([{ owner: 'ops' }])
    expect((await unpinImage(store, id, undefined)).pins).toMatchObject([{ owner: 'ci' }])
    expect((await store.find(id))?.pins).toEqual([])
    await keeper.sweep({ dryRun: false, freeBytes: (await store.usage()).usedBytes })
    expect(await tags(store)).toEqual([])
  })

  test('no more than a hundred stand on an image; those whose time is over go with the next sweep, and make room before it', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    const id = await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
    const [since, reason] = [new Date(), '']
    const over = new Date(since.getTime() - 1)
    await store.pin(id, { owner: 'was', reason, since, until: over })
    await store.pin(id, { owner: 'is', reason, since })
    expect((await store.find(id))?.pins.map(({ owner }) => owner)).toEqual(['is'])
    await Promise.all(Array.from({ length: 98 }, (_, at) => store.pin(id, { owner: `${at}`, reason, since })))
    await store.pin(id, { owner: 'last', reason, since })
    const full = { kind: 'invalid-argument', what: 'pin', reason: expect.stringContaining('unpin') }
    expect(await refusal(pinImage(store, id, { owner: 'more', reason }))).toMatchObject(full)
    await pinImage(store, id, { owner: 'is', reason: 'another' })
    await store.pin(id, { owner: 'last', reason, since, until: over })
    await pinImage(store, id, { owner: 'more', reason })
    await store.pin(id, { owner: 'more', reason, since, until: over })
    const { keeper } = keeperOf(store, 0)
    await keeper.sweep({ dryRun: true })
    expect((await store.find(id))?.pins).toHaveLength(100)
    await keeper.sweep({ dryRun: false })
    expect((await store.find(id))?.pins).toHaveLength(99)
  })

  test('by rule, for names that come later too', async () => {
    using place = temporaryRoot()
    const pinRules = [{ images: ['r.test/base/*'], reason: 'every job stands on it' }]
    await using store = await openLocalStore({ root: place.root, pinRules }, { signal })
    const id = await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
    expect((await store.find(id))?.pins).toEqual([])
    await pullByHand(store, ['one'], { tag: 'r.test/base/one:1' })
    expect((await store.find(id))?.pins).toMatchObject([{ owner: RULE_OWNER, reason: 'every job stands on it' }])
    await store.untag('r.test/base/one:1')
    expect((await store.find(id))?.pins).toEqual([])
  })

  test('by rule, for a time that begins anew with every use, over restarts too', async () => {
    using place = temporaryRoot()
    const ttlMs = 3_600_000
    const open = () => openLocalStore({ root: place.root, pinRules: [{ images: ['**'], reason: 'is used', ttlMs }] }, { signal })
    const name = 'r.test/one:1'
    const later = new Date(Date.now() + 2 * ttlMs)
    {
      await using store = await open()
      const id = await pullByHand(store, ['one'], { tag: name })
      const [first] = (await store.find(name))?.pins ?? []
      expect(first?.until?.getTime()).toBeLessThan(later.getTime())
      vi.useFakeTimers({ now: later, toFake: ['Date'] })
      using _clock = { [Symbol.dispose]: () => void vi.useRealTimers() }
      store.holdings?.used([id])
      expect((await store.find(name))?.pins).toMatchObject([{ until: new Date(later.getTime() + ttlMs) }])
    }
    await using store = await open()
    expect((await store.find(name))?.pins).toMatchObject([{ until: new Date(later.getTime() + ttlMs) }])
  })

  test.each([
    ['nobody’s', { owner: '', reason: '' }, 'owner'],
    ['the configuration’s', { owner: RULE_OWNER, reason: '' }, 'owner'],
    ['a long owner', { owner: 'x'.repeat(200), reason: '' }, 'owner'],
    ['a terminal’s reason', { owner: 'x', reason: '\u001b[2J' }, 'reason'],
    ['no time', { owner: 'x', reason: '', ttlMs: -1 }, 'ttl'],
    ['a time beyond all dates', { owner: 'x', reason: '', ttlMs: 2 ** 53 }, 'ttl'],
  ])('%s is refused', async (_what, wish, what) => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    await pullByHand(store, ['one'], { tag: 'r.test/one:1' })
    expect(await refusal(pinImage(store, 'r.test/one:1', wish))).toMatchObject({ kind: 'invalid-argument', what })
    expect(await refusal(pinImage(store, 'r.test/two:1', { owner: 'x', reason: '' }))).toMatchObject({ kind: 'image-unknown' })
  })
})

describe('why', () => {
  test('an image, its layers and documents, and what nothing holds', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    const id = await pullByHand(store, ['base', 'top'], { tag: 'r.test/app:1' })
    await pullByHand(store, ['base'], { tag: 'r.test/base:1' })
    await pinImage(store, id, { owner: 'ops', reason: 'needed' })
    const image = imageOver(['base', 'top'], { tag: 'r.test/app:1' })
    const [base] = store.layerIds([diffIdOf('base')])
    expect(await why(store, 'r.test/app:1')).toEqual([
      {
        kind: 'image',
        digest: id,
        names: ['r.test/app:1', image.digest],
        holds: [
          { kind: 'name', detail: 'r.test/app:1' },
          { kind: 'name', detail: image.digest },
          { kind: 'pin', detail: 'ops, for good: needed' },
        ],
      },
    ])
    const both = [
      { kind: 'image', detail: 'r.test/app:1' },
      { kind: 'image', detail: 'r.test/base:1' },
    ]
    for (const name of [base ?? '', diffIdOf('base'), image.layers[0]?.digest ?? '', diffIdOf('base').slice(7, 17)])
      expect(await why(store, name)).toMatchObject([{ kind: 'layer', digest: base, holds: both }])
    expect(await why(store, image.manifest.digest)).toMatchObject([{ kind: 'manifest', holds: [both[0]] }])
    const loose = await commitLayer(store, { name: 'loose' })
    expect(await why(store, loose.id)).toMatchObject([{ kind: 'layer', holds: [] }])
    {
      await using lease = store.lease()
      await lease.retain([loose.id])
      expect(await why(store, loose.id)).toMatchObject([{ holds: [{ kind: 'pull' }] }])
    }
    await pullByHand(store, ['base'], { tag: 'r.test/base:2' })
    expect(await why(store, base ?? '')).toMatchObject([
      { holds: [both[0], { kind: 'image', detail: 'r.test/base:1, r.test/base:2' }] },
    ])
    expect(await why(store, 'r.test/none:1')).toEqual([])
    expect(await why(store, 'f'.repeat(64))).toEqual([])
  })

  test.skipIf(!isRoot)('a mounted image, which no collection takes', async () => {
    using place = temporaryRoot()
    await using store = await openLocalStore({ root: place.root }, { signal })
    await pullByHand(store, ['base', 'top'], { tag: 'r.test/app:1' })
    const ids = (await store.find('r.test/app:1'))?.layerIds ?? []
    const layers = (await Promise.all(ids.map((id) => store.layer(id)))).flatMap((layer) => layer ?? [])
    const target = join(place.root, 'a target')
    mkdirSync(target)
    mountOverlay({ target, base: store.overlayDir, lower: layers.map(({ short }) => short).reverse() })
    try {
      expect((await why(store, 'r.test/app:1'))[0]?.holds.at(-1)).toEqual({ kind: 'mount', detail: `mounted at ${target}` })
      const { keeper } = keeperOf(store, 0)
      const { stays } = await keeper.sweep({ dryRun: false, freeBytes: 0 })
      expect(stays).toMatchObject([{ reason: 'in-use', detail: `mounted at ${target}` }])
    } finally {
      unmount(target)
    }
  })
})
