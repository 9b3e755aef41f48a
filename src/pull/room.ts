/** Room on the disk for what a pull will unpack, asked for before its first layer. */
import { compressionOf } from '../oci/parse.ts'
import type { Store } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { PlannedLayer } from './pull.ts'

/** Bytes a layer will take up: what is likely, and what it will hardly fall below. */
export type Estimate = { readonly likely: number; readonly least: number }

/** A promise of room, held until it is disposed; what has arrived no longer counts, because it is on the disk. */
export interface Reserved extends Disposable {
  arrived(likely: number): void
}

export interface Room {
  /** Makes room for `likely` bytes where it can. Throws no-space where there are not even `least` to be had. */
  reserve(estimate: Estimate, options: Abortable): Promise<Reserved>
}

/** Of a store whose disk is somebody else's to look after. */
export const boundless: Room = { reserve: async () => ({ arrived: () => {}, [Symbol.dispose]: () => {} }) }

/** What images of distributions and languages unpack to. */
const TYPICAL_RATIO = 2.7
/** Layers of fonts and of archives are among them. */
const CAUTION = 0.6

/** What each layer will take up. Its tar's size is known only where it was unpacked here before; of a compressed blob it is a guess. */
export async function estimate(
  store: Pick<Store, 'layerByDiffId'>,
  layers: readonly PlannedLayer[],
): Promise<readonly Estimate[]> {
  return await Promise.all(
    layers.map(async ({ origin, blob, diffId }) => {
      if (origin === 'here') return { likely: 0, least: 0 }
      const twin = await store.layerByDiffId(diffId)
      if (twin !== undefined) return { likely: twin.facts.diffSize, least: twin.facts.diffSize }
      const isPlain = compressionOf(blob.mediaType) === 'none'
      const likely = isPlain ? blob.size : blob.size * TYPICAL_RATIO
      return { likely, least: Math.max(blob.size, likely * CAUTION) }
    }),
  )
}

export const sumOf = (estimates: readonly Estimate[]): Estimate => ({
  likely: estimates.reduce((all, { likely }) => all + likely, 0),
  least: estimates.reduce((all, { least }) => all + least, 0),
})
