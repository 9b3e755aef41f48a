/** A store with many images in it, made fast: by hand, and published all at once. */
import type { NewImage, Store } from '../../../src/store/store.ts'
import type { Abortable } from '../../../src/task/task.ts'
import { commitChain, imageOver } from '../fixtures.ts'

/** Every image has layers of its own above bases that it shares with others. */
export const OWN_LAYERS = 4
const BASES = 50

const layersOf = (i: number): readonly string[] => [
  `base${i % BASES}`,
  ...Array.from({ length: OWN_LAYERS }, (_, own) => `own${i}-${own}`),
]
export const tagOf = (i: number): string => `registry.test/team/app${i}:1`
const imageNumber = (i: number): NewImage => imageOver(layersOf(i), { tag: tagOf(i), label: 'x'.repeat(2000) })

/** Commits the layers of that many images, and publishes all of these at once; says how long publishing took. */
export async function stock(store: Store, count: number, { signal }: Abortable): Promise<number> {
  await using lease = store.lease()
  for (let i = 0; i < count; i++) {
    await lease.retain(store.layerIds(imageNumber(i).config.diffIds))
    await commitChain(
      store,
      layersOf(i).map((name) => ({ name })),
    )
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: count }, (_, i) => store.publish(imageNumber(i), { signal })))
  return performance.now() - start
}
