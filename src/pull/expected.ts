/** What a pull still expects: guessed when it is planned, less with every byte. */
import type { LayerId } from '../oci/digest.ts'
import { compressionOf } from '../oci/parse.ts'
import type { Store } from '../store/store.ts'
import type { LayerProgress } from './arrival.ts'
import type { PlannedLayer } from './pull.ts'
import type { Coming, Estimate } from './room.ts'

/** What images of distributions and languages unpack to. */
const TYPICAL_RATIO = 2.7

/** What each layer will take up. Its tar's size is known only where it was unpacked here before; of a compressed blob it is a guess. */
export async function estimate(
  store: Pick<Store, 'layerByDiffId'>,
  layers: readonly PlannedLayer[],
): Promise<readonly Estimate[]> {
  return await Promise.all(
    layers.map(async ({ origin, blob, diffId }) => {
      if (origin === 'here') return { likely: 0, least: 0, isKnown: true }
      const twin = await store.layerByDiffId(diffId)
      if (twin !== undefined) return { likely: twin.facts.diffSize, least: twin.facts.diffSize, isKnown: true }
      const isPlain = compressionOf(blob.mediaType) === 'none'
      // Weights and archives hardly compress: such a layer takes up what its blob does.
      return { likely: isPlain ? blob.size : blob.size * TYPICAL_RATIO, least: blob.size, isKnown: false }
    }),
  )
}

/** How far the layers of a pull have come: what has arrived no longer counts, because it is on the disk. */
export class Expected {
  readonly #layers: readonly (Estimate & { readonly id: LayerId; readonly size: number })[]
  readonly #progressOf: (id: LayerId) => LayerProgress | undefined
  readonly #done = new Set<number>()

  constructor(
    layers: readonly PlannedLayer[],
    ids: readonly LayerId[],
    estimates: readonly Estimate[],
    progressOf: (id: LayerId) => LayerProgress | undefined,
  ) {
    this.#layers = layers.flatMap(({ blob }, at) => {
      const [id, estimated] = [ids[at], estimates[at]]
      return id === undefined || estimated === undefined ? [] : [{ id, size: blob.size, ...estimated }]
    })
    this.#progressOf = progressOf
  }

  done(layer: number): void {
    this.#done.add(layer)
  }

  coming(): readonly Coming[] {
    return this.#layers.map(({ id, size, likely, least, isKnown }, at) => {
      const { state, bytes, unread } = this.#progressOf(id) ?? { state: 'waiting', bytes: 0 }
      const unpacked = bytes - (unread?.() ?? 0)
      const share = this.#done.has(at) ? 1 : Math.min(1, Math.max(0, unpacked / Math.max(1, size)))
      const [left, hasBegun] = [1 - share, bytes > 0 || (isKnown && state !== 'waiting')]
      return { id, likely: likely * left, least: least * left, arrived: likely * share, isKnown, hasBegun }
    })
  }
}
