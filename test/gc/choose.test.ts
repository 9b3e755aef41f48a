/** The decision over stores made by hand: whole images with layers of known size. */
import { describe, expect, test } from 'vitest'
import { type Choice, choose, needOf, type Scene } from '../../src/gc/choose.ts'
import { layerIds } from '../../src/oci/digest.ts'
import type { HeldLayer, StoredImage } from '../../src/store/store.ts'
import { storedImage } from '../rpc/parts.ts'
import { diffIdOf } from '../store/fixtures.ts'

const now = new Date('2026-01-02T00:00:00Z')
const ago = (ms: number): Date => new Date(now.getTime() - ms)
const HOUR = 3_600_000
const marks = { highPercent: 85, lowPercent: 80, minAgeMs: HOUR }

/** An image over layers of these names, used so many hours ago. */
const image = (name: string, layers: readonly string[], hours: number, more: Partial<StoredImage> = {}): StoredImage => ({
  ...storedImage(name, { tags: [`r.example/${name}:1`] }),
  layerIds: layerIds(layers.map(diffIdOf)),
  usedAt: ago(hours * HOUR),
  ...more,
})

/** Each chain is a list of layer names, base first; every layer takes 100 bytes and 10 inodes. */
function scene(images: readonly StoredImage[], chains: readonly (readonly string[])[], more: Partial<Scene> = {}): Scene {
  const layers = new Map<string, HeldLayer>()
  for (const chain of chains) {
    const ids = layerIds(chain.map(diffIdOf))
    for (const [at, id] of ids.entries()) {
      const facts = { diffSize: 90, entries: 1, whiteouts: 0 }
      layers.set(id, { id, diffId: diffIdOf(chain[at] ?? ''), diff: '', short: '', facts, usedBytes: 100, inodesUsed: 10 })
    }
  }
  const disk = { path: '/', totalBytes: 1000, availableBytes: 100, totalInodes: 0, availableInodes: 0, usedPercent: 90 }
  const none = new Set<never>()
  const holders = { leased: none, read: none, mounted: new Map(), adopted: { kind: 'known' as const, layers: new Set<never>() } }
  return { images, layers: [...layers.values()], holders, leaving: { bytes: 0, inodes: 0 }, disk, now, ...more }
}

const names = (choice: Choice): string[] => choice.goes.map(({ image }) => image.tags[0]?.split('/')[1] ?? '')
const kept = (choice: Choice): string[] =>
  choice.stays.map(({ image, reason }) => `${image.tags[0]?.split('/')[1]?.split(':')[0]} ${reason}`).toSorted()
const want = (bytes: number) => ({ bytes, inodes: 0, reason: 'asked' as const })

test('beyond the high watermark as much is needed as brings the disk to the low one; below, nothing', () => {
  const { disk } = scene([], [])
  expect(needOf(disk, marks)).toEqual({ bytes: 200, inodes: 0, reason: 'pressure' })
  expect(needOf({ ...disk, usedPercent: 84.9 }, marks).bytes).toBe(0)
  expect(needOf({ ...disk, usedPercent: 100 }, { ...marks, highPercent: 100 }).bytes).toBe(0)
  expect(needOf({ ...disk, totalInodes: 500 }, marks).inodes).toBe(100)
})

describe('what goes', () => {
  const chains = [['a'], ['b'], ['c']]

  test('what was not used for the longest time, and no more than is needed', () => {
    const images = [image('young', ['a'], 2), image('oldest', ['b'], 9), image('old', ['c'], 5)]
    const choice = choose(scene(images, chains), marks, want(200))
    expect(names(choice)).toEqual(['oldest:1'])
    expect(kept(choice)).toEqual(['old not-needed', 'young not-needed'])
    expect(names(choose(scene(images, chains), marks, want(201)))).toEqual(['oldest:1', 'old:1'])
    expect(choice.reach).toBe(300)
  })

  test('never the pinned, those in use, or those used a moment ago', () => {
    const pins = [{ owner: 'ops', reason: 'base', since: ago(0) }]
    const images = [image('pinned', ['a'], 9, { pins }), image('mounted', ['b'], 9), image('fresh', ['c'], 0.5)]
    const [mounted] = layerIds([diffIdOf('b')])
    const holders = { ...scene([], []).holders, mounted: new Map(mounted === undefined ? [] : [[mounted, ['/mnt']]]) }
    const choice = choose(scene(images, chains, { holders }), marks, want(1000))
    expect(names(choice)).toEqual([])
    expect(kept(choice)).toEqual(['fresh young', 'mounted in-use', 'pinned pinned'])
    expect(choice.stays.find(({ reason }) => reason === 'in-use')?.detail).toBe('mounted at /mnt')
    expect(choice.reach).toBe(0)
  })

  test('one used in a time to come is no younger than one used long ago: a clock that was set back holds nothing', () => {
    const images = [image('to come', ['a'], -9), image('soon', ['b'], -0.5), image('old', ['c'], 9)]
    const choice = choose(scene(images, chains), marks, want(1000))
    expect(names(choice)).toEqual(['to come:1', 'old:1'])
    expect(kept(choice)).toEqual(['soon young'])
    expect(names(choose(scene(images, chains), marks, want(200)))).toEqual(['to come:1'])
  })

  test('a clock that begins in the past makes nothing old', () => {
    const images = [image('to come', ['a'], -900), image('old', ['b'], 900)]
    const choice = choose(scene(images, chains), { ...marks, maxAgeMs: 800 * HOUR }, want(0))
    expect(names(choice)).toEqual(['old:1'])
  })

  test('a pin whose time is over holds nothing', () => {
    const pins = [{ owner: 'ops', reason: '', since: ago(9 * HOUR), until: ago(1) }]
    expect(names(choose(scene([image('was', ['a'], 9, { pins })], chains), marks, want(1000)))).toEqual(['was:1'])
  })

  test('nothing, where it cannot be told whether another store builds on it', () => {
    const holders = { ...scene([], []).holders, adopted: { kind: 'unknown' as const, why: 'layers.json: not JSON' } }
    const choice = choose(scene([image('a', ['a'], 9)], chains, { holders }), marks, want(1000))
    expect([names(choice), choice.frees]).toEqual([[], { layers: 0, bytes: 0 }])
    expect(choice.stays[0]?.detail).toContain('layers.json: not JSON')
  })

  test('with age alone, whatever room there is; what is in use or pinned stays', () => {
    const images = [
      image('ancient', ['a'], 200),
      image('old', ['b'], 100),
      image('kept', ['c'], 300, { pins: [{ owner: 'x', reason: '', since: now }] }),
    ]
    const choice = choose(scene(images, chains), { ...marks, maxAgeMs: 150 * HOUR }, want(0))
    expect(choice.goes.map(({ image, reason }) => [image.tags[0], reason])).toEqual([['r.example/ancient:1', 'age']])
  })

  test('shared layers count once their last image goes; an image that gives nothing back stays', () => {
    const chains = [
      ['base', 'one'],
      ['base', 'two'],
      ['base', 'two', 'pinned'],
    ]
    const images = [
      image('one', ['base', 'one'], 9),
      image('two', ['base', 'two'], 8),
      image('pinned', ['base', 'two', 'pinned'], 7, { pins: [{ owner: 'x', reason: '', since: now }] }),
    ]
    const choice = choose(scene(images, chains), marks, want(1000))
    expect(choice.goes.map(({ image, bytes }) => [image.tags[0], bytes])).toEqual([['r.example/one:1', 100]])
    expect(choice.stays.find(({ image }) => image.tags[0] === 'r.example/two:1')?.detail).toContain('belong to images that stay')
  })

  test('twins over the same layers go together or not at all', () => {
    const images = [image('one', ['base'], 9), image('two', ['base'], 8)]
    expect(names(choose(scene(images, [['base']]), marks, want(150)))).toEqual(['one:1', 'two:1'])
    expect(names(choose(scene(images, [['base']]), marks, want(100)))).toEqual([])
  })

  test('layers that no image needs count first', () => {
    const choice = choose(scene([image('a', ['a'], 9)], [['a'], ['loose'], ['looser']]), marks, want(300))
    expect([names(choice), choice.frees]).toEqual([[], { layers: 2, bytes: 200 }])
  })

  test('and what is on its way out before them', () => {
    const leaving = { bytes: 200, inodes: 0 }
    const choice = choose(scene([image('a', ['a'], 9)], [['a']], { leaving }), marks, want(300))
    expect([names(choice), choice.frees.bytes, choice.reach]).toEqual([[], 0, 300])
  })

  test('an image of which somebody reads a layer goes, and that layer is not counted', () => {
    const [read] = layerIds([diffIdOf('a')])
    const holders = { ...scene([], []).holders, read: new Set(read === undefined ? [] : [read]) }
    const choice = choose(scene([image('a', ['a', 'b'], 9)], [['a', 'b']], { holders }), marks, want(300))
    expect([names(choice), choice.frees]).toEqual([['a:1'], { layers: 1, bytes: 100 }])
  })

  test('for inodes as for bytes', () => {
    const choice = choose(scene([image('a', ['a'], 9), image('b', ['b'], 8)], [['a'], ['b']]), marks, {
      bytes: 0,
      inodes: 10,
      reason: 'pressure',
    })
    expect(names(choice)).toEqual(['a:1'])
  })
})
