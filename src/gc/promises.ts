/**
 * What pulls in flight will still need of the disk. A manifest claims the sizes of its layers, and anybody can write one: a claim alone is
 * reason to refuse a pull that cannot fit, and no reason to remove an image. So room is made by and by, for as much again as a layer has
 * brought: what a false claim costs the node is bounded by the bytes that were sent for it. Nor does a claim keep others out for longer than
 * bytes bear it out. A copy of a layer that is here costs its sender nothing: room is made for one of each in a pull, when its turn comes.
 */
import type { LayerId } from '../oci/digest.ts'
import type { ComingLayer } from '../store/coming.ts'

/** Asked anew each time: with every byte that comes, it is less. */
export type Expects = () => readonly ComingLayer[]

/** One pull's. `atMost`: more than that is not to be had, however likely it is. */
export type Promised = Disposable & { readonly expects: Expects; atMost: number; readonly sinceMs: number }

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
/** What a pull claims counts in full for so long; after that it is believed so many times what it has brought. */
const ON_TRUST_MS = 60_000
const BORNE_OUT = 8

export class Promises {
  readonly #all = new Set<Promised>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** Counts from now on, until it is disposed. */
  add(expects: Expects): Promised {
    const dispose = (): void => void this.#all.delete(promised)
    const promised: Promised = { expects, atMost: Infinity, sinceMs: this.#nowMs(), [Symbol.dispose]: dispose }
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
    const now = this.#nowMs()
    for (const coming of [...this.#all].flatMap((promised) => borneOut(withinReach(promised), now - promised.sinceMs))) {
      const other = layers.get(coming.id) ?? coming
      const least = Math.max(coming.least, other.least)
      layers.set(coming.id, { ...(isMore(coming, other) ? coming : other), least })
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

/** A pull that brings little must not keep others out of room that it only says it will need. */
function borneOut(coming: readonly ComingLayer[], ageMs: number): readonly ComingLayer[] {
  if (ageMs <= ON_TRUST_MS) return coming
  const sum = (of: (layer: ComingLayer) => number): number => coming.reduce((all, layer) => all + of(layer), 0)
  const least = sum((layer) => layer.least)
  const believed = Math.max(TO_GO_ON, BORNE_OUT * sum(({ arrived }) => arrived))
  if (least <= believed) return coming
  return coming.map((layer) => ({ ...layer, least: layer.least * (believed / least) }))
}
