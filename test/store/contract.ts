/** What any store must do (src/store/store.ts); each implementation runs this against itself. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hexOf } from '../../src/oci/digest.ts'
import type { Store } from '../../src/store/store.ts'
import { AT, check, cstr, mknodat, S } from '../../src/sys/libc.ts'
import { eventually } from '../integration/node.ts'
import { describeTree, makeVictim } from '../support/victim.ts'
import { commitChain, commitLayer, diffIdOf, imageOver, type LayerSpec, pullByHand } from './fixtures.ts'

/** A store at a place of its own that can be closed and opened again. `settle` waits for collections that others do; `destroy` removes it all. */
export type StoreUnderTest = { open(): Promise<Store>; settle(): Promise<void>; destroy(): Promise<void> }

const { signal } = new AbortController()
const tag = 'registry.test/app:1'

function replace(path: string, make: () => void): void {
  rmSync(path, { recursive: true })
  make()
}
const makeFifo = (path: string): void => void check(mknodat(AT.FDCWD, cstr(path), S.IFIFO | 0o600, 0), 'mknodat', path)

export function storeContract(name: string, prepare: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the store's contract`, () => {
    let place: StoreUnderTest
    let store: Store

    beforeEach(async () => {
      place = await prepare()
      store = await place.open()
    })
    afterEach(async () => {
      await store[Symbol.asyncDispose]()
      await place.destroy()
    })
    const reopen = async (): Promise<void> => {
      await store[Symbol.asyncDispose]()
      store = await place.open()
    }

    test('a published image is found by id, short id, tag and digest', async () => {
      const id = await pullByHand(store, ['base', 'top'], { tag })
      const { digest } = imageOver(['base', 'top'], { tag })
      for (const name of [id, hexOf(id), hexOf(id).slice(0, 12), id.slice(0, 15), hexOf(id).slice(0, 3), tag, digest]) {
        expect((await store.find(name))?.id, name).toBe(id)
      }
      for (const name of ['registry.test/app:2', 'registry.test/app', hexOf(id).slice(0, 2), 'sha256:', 'f'.repeat(64), '']) {
        expect(await store.find(name), name).toBeUndefined()
      }
    })

    test('who pulled an image is kept with it, newest first, through a restart, and goes with it', async () => {
      await using lease = store.lease()
      const image = imageOver(['base'], { tag })
      await lease.retain(store.layerIds(image.config.diffIds))
      await commitLayer(store, { name: 'base' })
      const from = (identity: string) => ({ identity, name: image.digest, host: 'registry.test', at: new Date() })
      const began = Date.now()
      const { image: published } = await store.publish({ ...image, receipt: from('first') }, { signal })
      store.receipts.note(image.id, from('second'))
      store.receipts.note(image.id, from('first'))
      const known = await store.receipts.of(published)
      expect(known.receipts).toMatchObject([
        { identity: 'first', name: image.digest, host: 'registry.test' },
        { identity: 'second' },
      ])
      expect(known.since?.getTime()).toBeGreaterThanOrEqual(began)
      await reopen()
      expect(await store.receipts.of(published)).toEqual(known)
      await store.remove(image.id)
      const again = await pullByHand(store, ['base'], { tag })
      expect(await store.receipts.of((await store.find(again)) ?? expect.fail('it was published'))).toEqual({ receipts: [] })
    })

    // What an extractor that was taken over could leave: the store completes layers with every right.
    test.each<readonly [string, (victim: string, staged: string) => void]>([
      ['itself', (victim, staged) => replace(staged, () => symlinkSync(victim, staged))],
      [
        'its tree',
        (victim, staged) => replace(join(staged, 'diff'), () => symlinkSync(join(victim, 'diff'), join(staged, 'diff'))),
      ],
      ['a file that the store adds', (victim, staged) => symlinkSync(join(victim, 'precious'), join(staged, 'link'))],
      [
        'its tar-split',
        (victim, staged) =>
          replace(join(staged, 'tar-split.gz'), () => symlinkSync(join(victim, 'precious'), join(staged, 'tar-split.gz'))),
      ],
      [
        'its tar-split, by a fifo',
        (_, staged) => replace(join(staged, 'tar-split.gz'), () => makeFifo(join(staged, 'tar-split.gz'))),
      ],
    ])('a staged layer with a symlink for %s is refused, and nothing is done through it', async (_what, attack) => {
      using victim = mkdtempDisposableSync(join(tmpdir(), 'windlass-victim-'))
      makeVictim(victim.path)
      mkdirSync(join(victim.path, 'diff/nested'), { recursive: true, mode: 0o700 })
      writeFileSync(join(victim.path, 'tar-split.gz'), 'of another layer')
      const before = describeTree(victim.path)
      const base = await commitLayer(store, {
        name: 'base',
        write: (diff) => {
          mkdirSync(join(diff, 'nested'))
          chmodSync(join(diff, 'nested'), 0o1777)
        },
      })
      const spec: LayerSpec = { name: 'top', write: (diff) => mkdirSync(join(diff, 'nested')), implied: ['nested'] }
      await expect(commitLayer(store, { ...spec, tamper: (staged) => attack(victim.path, staged) }, base)).rejects.toMatchObject({
        failure: { kind: 'internal' },
      })
      expect(describeTree(victim.path)).toEqual(before)
      // What was left is out of the way.
      const top = await commitLayer(store, spec, base)
      expect(statSync(join(top.diff, 'nested')).mode & 0o7777).toBe(0o1777)
    })

    test('a short id that fits two images names neither', async () => {
      const ids: string[] = []
      // Among 50 ids of 4,096 short ones, two share three digits more often than not; the pair is looked for, not assumed.
      for (let i = 0; new Set(ids.map((id) => id.slice(7, 10))).size === ids.length; i++) {
        ids.push(await pullByHand(store, ['base'], { tag: `registry.test/app:${i}`, label: String(i) }))
      }
      const shared = ids.at(-1)?.slice(7, 10) ?? ''
      expect(ids.filter((id) => id.startsWith(`sha256:${shared}`))).toHaveLength(2)
      expect(await store.find(shared)).toBeUndefined()
    })

    test('an image is what was published, and the same after opening the store again', async () => {
      const before = Date.now()
      const id = await pullByHand(store, ['base', 'top'], { tag })
      const wanted = imageOver(['base', 'top'], { tag })
      const looksRight = async (): Promise<void> => {
        const image = await store.find(tag)
        expect(image).toMatchObject({
          id,
          tags: [tag],
          digests: [wanted.digest],
          manifest: wanted.manifest,
          config: wanted.config,
          layers: wanted.layers,
          layerIds: store.layerIds(wanted.config.diffIds),
          size: wanted.configBytes.length + wanted.manifestBytes.length + 200,
          pins: [],
        })
        expect(Buffer.from(image?.configBytes ?? [])).toEqual(Buffer.from(wanted.configBytes))
        expect(Buffer.from(image?.manifestBytes ?? [])).toEqual(Buffer.from(wanted.manifestBytes))
        expect(image?.pulledAt.getTime()).toBeGreaterThanOrEqual(before)
        expect(await store.images()).toHaveLength(1)
        const [base, top] = await Promise.all(store.layerIds(wanted.config.diffIds).map((layer) => store.layer(layer)))
        expect(base?.parent).toBeUndefined()
        expect(top).toMatchObject({ diffId: diffIdOf('top'), parent: base?.id, facts: { diffSize: 1000 } })
        expect(readFileSync(join(top?.diff ?? '', 'top'), 'utf8')).toBe('content of top')
        expect(readFileSync(join(store.overlayDir, top?.short ?? '', 'top'), 'utf8')).toBe('content of top')
        expect(top?.short.length).toBeLessThanOrEqual(28)
        if (top?.tarSplit !== undefined) expect(readFileSync(top.tarSplit, 'utf8')).toBe('tar-split of top')
      }
      await looksRight()
      await reopen()
      await looksRight()
    })

    test('a layer is findable once committed, and gone after a restart unless an image was published on it', async () => {
      const layer = await commitLayer(store, { name: 'base' })
      expect(await store.layer(layer.id)).toEqual(layer)
      expect(await store.layerByDiffId(diffIdOf('base'))).toEqual(layer)
      await reopen()
      expect(await store.layer(layer.id)).toBeUndefined()
      expect(await store.layerByDiffId(diffIdOf('base'))).toBeUndefined()
      await place.settle()
      // A store answers before what no record names is out of the way.
      await eventually(async () => !existsSync(layer.diff), { signal: AbortSignal.timeout(10_000) })
    })

    test('one diffID in two chains is two layers, and either is found by it', async () => {
      const [base, other] = [await commitLayer(store, { name: 'base' }), await commitLayer(store, { name: 'other' })]
      const above = await commitLayer(store, { name: 'twin' }, base)
      const twin = await commitLayer(store, { name: 'twin' }, other)
      expect(above.id).not.toBe(twin.id)
      expect([above.id, twin.id]).toContain((await store.layerByDiffId(diffIdOf('twin')))?.id)
    })

    test('committing what is there already drops the staged copy', async () => {
      const first = await commitLayer(store, { name: 'base' })
      const again = await commitLayer(store, { name: 'base', write: (diff) => writeFileSync(join(diff, 'base'), 'another') })
      expect(again).toEqual(first)
      expect(readFileSync(join(first.diff, 'base'), 'utf8')).toBe('content of base')
    })

    test('two commits of one layer at the same time give one layer', async () => {
      const [a, b] = await Promise.all([commitLayer(store, { name: 'base' }), commitLayer(store, { name: 'base' })])
      expect(a).toEqual(b)
      expect(existsSync(join(a.diff, 'base'))).toBe(true)
    })

    test('a staged layer that is not committed disappears', async () => {
      const staged = await store.stage(diffIdOf('base'))
      mkdirSync(join(staged.dir, 'diff'))
      await staged[Symbol.asyncDispose]()
      await staged[Symbol.asyncDispose]()
      expect(existsSync(staged.dir)).toBe(false)
      expect(await store.layerByDiffId(diffIdOf('base'))).toBeUndefined()
    })

    test('a tag moves to the image published last; the other keeps its digest name', async () => {
      const old = await pullByHand(store, ['base'], { tag, label: 'old' })
      const now = await pullByHand(store, ['base'], { tag, label: 'new' })
      const looksRight = async (): Promise<void> => {
        expect((await store.find(tag))?.id).toBe(now)
        expect((await store.find(old))?.tags).toEqual([])
        expect((await store.find(old))?.digests).toEqual([imageOver(['base'], { tag, label: 'old' }).digest])
        expect((await store.images()).map(({ id }) => id)).toEqual([old, now])
      }
      await looksRight()
      await reopen()
      await looksRight()
    })

    test('an image gathers names, newest last', async () => {
      const names = ['registry.test/app:2', 'registry.test/app:1', 'registry.test/other:1']
      for (const each of names) await pullByHand(store, ['base'], { tag: each })
      await pullByHand(store, ['base'], {})
      const looksRight = async (): Promise<void> => {
        expect(await store.images()).toHaveLength(1)
        expect((await store.find(tag))?.tags).toEqual(names)
        expect((await store.find(tag))?.digests.map((name) => name.split('@')[0])).toEqual([
          'registry.test/app',
          'registry.test/other',
          'registry.test/by-digest',
        ])
      }
      await looksRight()
      await reopen()
      await looksRight()
    })

    test('removing an image removes its names, and its layers at the next collection', async () => {
      const id = await pullByHand(store, ['base', 'top'], { tag })
      const kept = await pullByHand(store, ['base'], { tag: 'registry.test/base:1' })
      const top = (await store.find(id))?.layerIds.at(-1)
      const diff = top === undefined ? '' : ((await store.layer(top))?.diff ?? '')
      expect(await store.remove(id)).toBe(true)
      expect(await store.remove(id)).toBe(false)
      expect(await store.find(tag)).toBeUndefined()
      expect((await store.images()).map((image) => image.id)).toEqual([kept])
      await store.collect()
      await place.settle()
      expect(existsSync(diff)).toBe(false)
      expect(await store.collect()).toEqual([])
      await reopen()
      expect((await store.images()).map((image) => image.id)).toEqual([kept])
    })

    test('untagging takes the image with its last name', async () => {
      const id = await pullByHand(store, ['base'], { tag })
      await pullByHand(store, ['base'], { tag: 'registry.test/app:2' })
      expect(await store.untag('registry.test/none:1')).toBe(false)
      expect(await store.untag(tag)).toBe(true)
      expect(await store.untag(tag)).toBe(false)
      expect((await store.find(id))?.tags).toEqual(['registry.test/app:2'])
      expect((await store.find(id))?.digests).toHaveLength(1)
      expect(await store.untag('registry.test/app:2')).toBe(true)
      expect(await store.find(id)).toBeUndefined()
      await reopen()
      expect(await store.images()).toEqual([])
    })

    test('untagging leaves an image that somebody pulled by digest', async () => {
      const id = await pullByHand(store, ['base'], {})
      await pullByHand(store, ['base'], { tag })
      expect(await store.untag(tag)).toBe(true)
      expect(await store.find(id)).toMatchObject({ tags: [], digests: [imageOver(['base'], {}).digest] })
    })

    test('a lease holds its layers and all below them', async () => {
      const lease = store.lease()
      const [base, middle, top] = await commitChain(store, [{ name: 'base' }, { name: 'middle' }, { name: 'top' }])
      if (middle !== undefined) await lease.retain([middle.id])
      const isOurs = store.holdings !== undefined
      expect((await store.collect()).map(({ id }) => id)).toEqual(isOurs ? [top?.id] : [])
      await lease[Symbol.asyncDispose]()
      const gone = [base?.id, middle?.id].toSorted()
      expect((await store.collect()).map(({ id }) => id).toSorted()).toEqual(isOurs ? gone : [])
      // Beside a runtime, layers of a pull that failed wait for its next attempt, whatever else is removed.
      expect(existsSync(base?.diff ?? '')).toBe(!isOurs)
    })

    test('a layer that was collected can be committed again', async () => {
      const first = await commitLayer(store, { name: 'base' })
      await Promise.all([store.collect(), commitLayer(store, { name: 'base' })])
      const again = await commitLayer(store, { name: 'base' })
      expect(again.id).toBe(first.id)
      expect(existsSync(join(again.diff, 'base'))).toBe(true)
      await pullByHand(store, ['base'], { tag })
      await reopen()
      expect((await store.find(tag))?.layerIds).toEqual([again.id])
    })

    test('an image whose layers are not there is not published', async () => {
      await commitLayer(store, { name: 'base' })
      const wish = store.publish(imageOver(['base', 'top'], { tag }), { signal })
      await expect(wish).rejects.toMatchObject({ failure: { kind: 'internal' } })
      expect(await store.images()).toEqual([])
    })

    test('a publish that was given up before it began changes nothing', async () => {
      await commitLayer(store, { name: 'base' })
      const wish = store.publish(imageOver(['base'], { tag }), { signal: AbortSignal.abort() })
      await expect(wish).rejects.toMatchObject({ failure: { kind: 'cancelled' } })
      expect(await store.find(tag)).toBeUndefined()
      await reopen()
      expect(await store.images()).toEqual([])
    })

    test('many publish at once, and one image of a group that cannot fails alone', async () => {
      await using lease = store.lease()
      await lease.retain([(await commitLayer(store, { name: 'base' })).id])
      const wishes = Array.from({ length: 20 }, (_, i) =>
        store.publish(imageOver(i === 7 ? ['base', 'none'] : ['base'], { tag: `registry.test/app:${i}`, label: String(i) }), {
          signal,
        }),
      )
      const outcomes = await Promise.allSettled(wishes)
      expect(outcomes.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []))).toEqual([7])
      await reopen()
      expect(await store.images()).toHaveLength(19)
    })

    test('removals and pulls that share layers leave no image without its layers', async () => {
      const round = async (i: number): Promise<void> => {
        const id = await pullByHand(store, ['base', `top${i % 3}`], { tag: `registry.test/app:${i}`, label: String(i) })
        await Promise.all([
          store.remove(id),
          store.collect(),
          pullByHand(store, ['base', `top${(i + 1) % 3}`], { tag, label: String(i % 2) }),
        ])
      }
      await Promise.all(Array.from({ length: 30 }, (_, i) => round(i)))
      const whole = async (): Promise<boolean> => {
        const ids = (await store.images()).flatMap(({ layerIds }) => layerIds)
        const layers = await Promise.all(ids.map((id) => store.layer(id)))
        return layers.every((layer) => existsSync(layer?.diff ?? ''))
      }
      expect((await store.images()).length).toBeGreaterThan(0)
      expect(await whole()).toBe(true)
      await reopen()
      expect((await store.images()).length).toBeGreaterThan(0)
      expect(await whole()).toBe(true)
    })
  })
}
