import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createCollector } from '../../../src/gc/gc.ts'
import { removeImage } from '../../../src/gc/remove.ts'
import { openLocalStore } from '../../../src/store/local/local.ts'
import { findImage } from '../../../src/store/lookup.ts'
import { mountOverlay, unmount } from '../../../src/sys/mount.ts'
import { imageOver, pullByHand } from '../fixtures.ts'
import { temporaryRoot } from './place.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('skipped: mounting needs root')

test.skipIf(!isRoot)('a mounted image may be removed; its layers go once it is unmounted', async () => {
  using place = temporaryRoot()
  await using store = await openLocalStore({ root: place.root }, { signal: new AbortController().signal })
  const collector = createCollector(store)
  await pullByHand(store, ['base', 'top'], { tag: 'r.test/app:1' })
  const image = imageOver(['base', 'top'], { tag: 'r.test/app:1' })
  const ids = (await store.find(image.id))?.layerIds ?? []
  const layers = (await Promise.all(ids.map((id) => store.layer(id)))).flatMap((layer) => layer ?? [])
  const target = join(place.root, 'target')
  mkdirSync(target)
  mountOverlay({ target, base: store.overlayDir, lower: layers.map(({ short }) => short).reverse() })
  try {
    const found = await findImage(store, 'r.test/app:1')
    const removal = found && (await removeImage({ store, collector, log: { info: () => {} } }, found, 'cli'))
    expect(removal).toMatchObject({ imageRemoved: true, layersRemoved: 0, bytesFreed: 0, layersKept: 2 })
    expect(await store.images()).toEqual([])
    expect(readdirSync(target).sort()).toEqual(['base', 'top'])
  } finally {
    unmount(target)
  }
  expect((await collector.collect()).layers).toBe(2)
  expect(layers.map(({ diff }) => existsSync(diff))).toEqual([false, false])
})
