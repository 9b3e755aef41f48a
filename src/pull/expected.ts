/** What a pull still expects: guessed when it is planned, less with every byte. */
import type { DiffId, LayerId } from '../oci/digest.ts'
import { compressionOf } from '../oci/parse.ts'
import type { ComingLayer } from '../store/coming.ts'
import type { Lease, Store } from '../store/store.ts'
import type { LayerProgress } from './arrival.ts'
import type { PlannedLayer } from './pull.ts'

/** What images of distributions and languages unpack to. */
const TYPICAL_RATIO = 2.7
/** A layer that turns out to unpack to more is taken at its word up to here: room is made for what it brings, and what it brings must cost. */
const MOST_RATIO = 8
/** The first of a layer's bytes say little about the others. */
const TELLING = 1024 * 1024

/** Bytes a layer will take up: what is likely, and what it will hardly fall below. `isKnown`: its size was measured on this node. */
export type Estimate = { readonly likely: number; readonly least: number; readonly isKnown: boolean }

/**
 * What each layer will take up. Its tar's size is known only where it was unpacked here before; of a compressed blob it is a guess. What is to
 * be copied is held by `twins` from now on: it must not go to make room for its copy.
 */
export async function estimate(
  store: Pick<Store, 'layerByDiffId' | 'holdings'>,
  layers: readonly PlannedLayer[],
  twins: Lease,
): Promise<readonly Estimate[]> {
  return await Promise.all(
    layers.map(async ({ origin, blob, diffId }) => {
      if (origin === 'here') return { likely: 0, least: 0, isKnown: true }
      const twin = await store.layerByDiffId(diffId)
      if (twin !== undefined) {
        if (store.holdings !== undefined) await twins.retain([twin.id])
        return { likely: twin.facts.diffSize, least: twin.facts.diffSize, isKnown: true }
      }
      const isPlain = compressionOf(blob.mediaType) === 'none'
      // Weights and archives hardly compress: such a layer takes up what its blob does.
      return { likely: isPlain ? blob.size : blob.size * TYPICAL_RATIO, least: blob.size, isKnown: false }
    }),
  )
}

const nothing = { unread: 0, unpacked: 0 }

type ExpectedLayer = Pick<Estimate, 'likely' | 'least'> & {
  readonly id: LayerId
  readonly size: number
  readonly isKnown: boolean
  /** The first copy of its diffID: whoever repeats one in a config has sent nothing for it. */
  readonly isWorthRoom: boolean
}

/** How far the layers of a pull have come: what has arrived no longer counts, because it is on the disk. */
export class Expected {
  readonly #layers: readonly ExpectedLayer[]
  readonly #progressOf: (id: LayerId) => LayerProgress | undefined
  readonly #done = new Set<number>()

  constructor(
    layers: readonly PlannedLayer[],
    ids: readonly LayerId[],
    estimates: readonly Estimate[],
    progressOf: (id: LayerId) => LayerProgress | undefined,
  ) {
    const copied = new Set<DiffId>()
    this.#layers = layers.flatMap(({ origin, blob, diffId }, at) => {
      const [id, estimated] = [ids[at], estimates[at]]
      if (id === undefined || estimated === undefined) return []
      const { likely, least, isKnown } = estimated
      const isWorthRoom = isKnown && origin !== 'here' && !copied.has(diffId)
      if (isWorthRoom) copied.add(diffId)
      return [{ id, size: blob.size, likely, least, isKnown, isWorthRoom }]
    })
    this.#progressOf = progressOf
  }

  done(layer: number): void {
    this.#done.add(layer)
  }

  coming(): readonly ComingLayer[] {
    return this.#layers.map(({ id, size, likely, least, isKnown, isWorthRoom }, at) => {
      const { bytes, isDue = false, unpacking = nothing } = this.#progressOf(id) ?? { bytes: 0 }
      const read = Math.max(0, bytes - unpacking.unread)
      const share = this.#done.has(at) ? 1 : Math.min(1, read / Math.max(1, size))
      const left = 1 - share
      const ratio = isKnown || read < TELLING ? 0 : Math.min(MOST_RATIO, unpacking.unpacked / read)
      const all = Math.max(likely, ratio * size)
      return {
        id,
        likely: all * left,
        least: least * left,
        arrived: all * share,
        hasBegun: bytes > 0,
        isDue: isDue && isWorthRoom,
      }
    })
  }
}
