/** `./scripts/run test/store/local/cost.ts`: what a change of the store costs beside many images. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { optionsOf, whole } from '../../../scripts/options.ts'
import { openLocalStore } from '../../../src/store/local/local.ts'
import type { NewImage, Store } from '../../../src/store/store.ts'
import { commitChain, imageOver, pullByHand } from '../fixtures.ts'
import { temporaryRoot } from './place.ts'
import { OWN_LAYERS, stock } from './stock.ts'

const CHANGES = 40

const { images: count } = optionsOf({
  command: './scripts/run test/store/local/cost.ts',
  about: `What a change of the store costs beside so many images, because layers.json and images.json are written whole each time; and beside
    none, for what it would cost without.`,
  takes: 'a minute',
  needs: 'the store is made in the temporary directory',
  options: { images: whole('N', 1000, 'images that are there') },
  examples: [['--images 100', 'a look, in seconds']],
})
const { signal } = new AbortController()
const open = (root: string): Promise<Store> => openLocalStore({ root, primaryGraphRoots: [] }, { signal })

/** Times each of a number of changes, and how late the thread that answers RPCs was meanwhile. */
async function times(what: string, change: (i: number) => Promise<unknown>): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const taken: number[] = []
  for (let i = 0; i < CHANGES; i++) {
    const start = performance.now()
    await change(i)
    taken.push(performance.now() - start)
  }
  delay.disable()
  taken.sort((a, b) => a - b)
  const [median, high] = [taken[CHANGES / 2] ?? 0, taken[Math.floor(CHANGES * 0.95)] ?? 0]
  const late = delay.percentile(99) / 1e6
  console.log(`  ${what.padEnd(40)} ${ms(median)} median ${ms(high)} p95   main thread ${ms(late)} p99`)
}

const ms = (value: number): string => `${value.toFixed(1).padStart(6)} ms`

async function measure(root: string): Promise<void> {
  {
    await using store = await open(root)
    await using lease = store.lease()
    await lease.retain(store.layerIds(imageOver(['measured'], {}).config.diffIds))
    const ids: NewImage['id'][] = []
    await commitChain(store, [{ name: 'measured' }])
    await times('publish, all layers here', async (i) => {
      const image = imageOver(['measured'], { tag: `registry.test/measured:${i}`, label: String(i) })
      ids.push((await store.publish(image, { signal })).image.id)
    })
    await times('commit a layer and publish', async (i) => {
      ids.push(await pullByHand(store, ['measured', `new${i}`], { tag: `registry.test/new:${i}` }))
    })
    await times('remove', async () => {
      const id = ids.pop()
      if (id !== undefined) await store.remove(id)
    })
    await times('remove, and collect its layer', async (i) => {
      const id = await pullByHand(store, ['measured', `gone${i}`], { tag: `registry.test/gone:${i}` })
      await store.remove(id)
      await store.collect()
    })
  }
  const before = process.cpuUsage()
  const start = performance.now()
  await using _store = await open(root)
  const wall = performance.now() - start
  const { user, system } = process.cpuUsage(before)
  console.log(`  open: ${ms(wall)}, CPU ${ms((user + system) / 1000)}`)
  const size = (path: string): string => `${(statSync(join(root, path)).size / 1e6).toFixed(2)} MB`
  console.log(`  layers.json ${size('overlay-layers/layers.json')}, images.json ${size('overlay-images/images.json')}`)
}

for (const filled of [false, true]) {
  using place = temporaryRoot()
  console.log(filled ? `beside ${count} images of ${1 + OWN_LAYERS} layers` : 'beside none')
  if (filled) {
    await using store = await open(place.root)
    const published = await stock(store, count, { signal })
    console.log(`  publishing all of them at once: ${(published / 1000).toFixed(2)} s`)
  }
  await measure(place.root)
}
