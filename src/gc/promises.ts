/**
 * What pulls in flight will still need of the disk. A manifest claims the sizes of its layers, and anybody can write one: a claim alone is
 * reason to refuse a pull that cannot fit, and no reason to remove an image. So room is made by and by, for as much again as a layer has
 * brought: what a false claim costs the node is bounded by the bytes that were sent for it.
 */
import type { LayerId } from '../oci/digest.ts'

/** A layer that is to come. Bytes as they will lie on this disk. */
export type Coming = {
  readonly id: LayerId
  /** Still to come: what is likely, and what it will hardly fall below. */
  readonly likely: number
  readonly least: number
  /** How much of what was likely has come. */
  readonly arrived: number
  /** Its size was measured on this node. */
  readonly isKnown: boolean
  /** Its first bytes have come, or are being copied. */
  readonly hasBegun: boolean
}

/** Asked anew each time: with every byte that comes, it is less. */
export type Expects = () => readonly Coming[]

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

  /** A layer that several pulls wait for comes once. */
  wanted(): Wanted {
    const layers = new Map<LayerId, Coming>()
    for (const coming of [...this.#all].flatMap(withinReach)) {
      const other = layers.get(coming.id)
      if (other === undefined || other.likely < coming.likely) layers.set(coming.id, coming)
    }
    return wantedFor([...layers.values()])
  }
}

export function wantedFor(coming: readonly Coming[]): Wanted {
  const sum = (of: (layer: Coming) => number): number => Math.ceil(coming.reduce((all, layer) => all + of(layer), 0))
  const likely = sum((layer) => layer.likely)
  return { likely, least: sum(({ least }) => least), next: Math.max(sum(nextOf), Math.min(likely, TO_BEGIN)) }
}

function nextOf({ likely, arrived, isKnown, hasBegun }: Coming): number {
  // Of a copy, all at once, before it begins: nobody counts how much of it is on the disk until it is done.
  if (isKnown) return hasBegun ? 0 : likely
  return hasBegun ? Math.min(likely + Math.min(arrived, UNDER_WAY), Math.max(arrived, TO_GO_ON)) : 0
}

/** A pull that can only fit if its layers unpack to less than is likely is taken to do so. */
function withinReach({ expects, atMost }: Promised): readonly Coming[] {
  const coming = expects()
  const all = coming.reduce((sum, { likely, arrived }) => sum + likely + arrived, 0)
  if (all <= atMost) return coming
  const share = atMost / all
  return coming.map((layer) => ({
    ...layer,
    likely: layer.isKnown ? layer.likely : Math.max(layer.least, layer.likely * share),
    arrived: layer.arrived * share,
  }))
}
