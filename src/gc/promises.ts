/**
 * What pulls in flight will still need of the disk. A manifest claims the sizes of its layers, and anybody can write one: a claim alone is
 * reason to refuse a pull that cannot fit, and no reason to remove an image. So room is made by and by, for as much again as a layer has
 * brought: what a false claim costs the node is bounded by the bytes that were sent for it. A copy of a layer that is here costs its sender
 * nothing: room is made for one of each in a pull, when its turn comes.
 */
import type { LayerId } from '../oci/digest.ts'
import type { ComingLayer } from '../store/coming.ts'

/** Asked anew each time: with every byte that comes, it is less. */
export type Expects = () => readonly ComingLayer[]

/** One pull's. `atMost`: more than that is not to be had, however likely it is. */
export type Promised = Disposable & { readonly expects: Expects; atMost: number }

export type Wanted = {
  readonly likely: number
  readonly least: number
  /** What must be free by now for the bytes that come next. */
  readonly next: number
}

const MIB = 1024 * 1024
/** A pull that has brought nothing yet needs room for directories and its first bytes. */
const TO_BEGIN = 8 * MIB
/** What a layer is given once it has begun. */
const TO_GO_ON = 64 * MIB
/** Of what counts as come, so much may not be on the disk yet. */
const UNDER_WAY = MIB

export class Promises {
  readonly #all = new Set<Promised>()

  /** Counts from now on, until it is disposed. */
  add(expects: Expects): Promised {
    const promised: Promised = { expects, atMost: Infinity, [Symbol.dispose]: () => void this.#all.delete(promised) }
    this.#all.add(promised)
    return promised
  }

  /** Whether a pull has this layer wait for room. */
  isDue(layer: LayerId): boolean {
    return [...this.#all].some(({ expects }) => expects().some(({ id, isDue }) => isDue && id === layer))
  }

  /** A layer that several pulls wait for comes once. */
  wanted(): Wanted {
    const layers = new Map<LayerId, ComingLayer>()
    for (const coming of [...this.#all].flatMap(withinReach)) {
      const other = layers.get(coming.id)
      if (other === undefined || isMore(coming, other)) layers.set(coming.id, coming)
    }
    return wantedFor([...layers.values()])
  }
}

const isMore = (one: ComingLayer, other: ComingLayer): boolean =>
  one.isDue === other.isDue ? one.likely > other.likely : one.isDue

export function wantedFor(coming: readonly ComingLayer[]): Wanted {
  const sum = (of: (layer: ComingLayer) => number): number => Math.ceil(coming.reduce((all, layer) => all + of(layer), 0))
  const likely = sum((layer) => layer.likely)
  return { likely, least: sum(({ least }) => least), next: Math.max(sum(nextOf), Math.min(likely, TO_BEGIN)) }
}

function nextOf({ likely, arrived, hasBegun, isDue }: ComingLayer): number {
  // Nobody counts how much of a copy is on the disk until it is done: so all of it, at the one time.
  if (isDue) return likely
  return hasBegun ? Math.min(likely + Math.min(arrived, UNDER_WAY), Math.max(arrived, TO_GO_ON)) : 0
}

/** A pull that can only fit if its layers unpack to less than is likely is taken to do so. */
function withinReach({ expects, atMost }: Promised): readonly ComingLayer[] {
  const coming = expects()
  const all = coming.reduce((sum, { likely, arrived }) => sum + likely + arrived, 0)
  if (all <= atMost) return coming
  const share = atMost / all
  return coming.map((layer) => ({
    ...layer,
    likely: Math.max(layer.least, layer.likely * share),
    arrived: layer.arrived * share,
  }))
}
