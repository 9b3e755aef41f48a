/**
 * Layers that are unpacked and have their place in a chain, but are no snapshots yet. containerd would let anybody stand on a committed
 * snapshot at once, so a layer becomes one only when everything below its image is on disk; until then it lives here and is found by
 * other pulls of this node.
 */
import type { Failure } from '../../failure/failure.ts'
import type { DiffId, LayerId } from '../../oci/digest.ts'
import type { Staged } from '../common/staged.ts'
import { Unsynced } from '../common/unsynced.ts'
import type { UnpackedFacts } from '../facts.ts'

/** `dir` holds `diff/` and `tar-split.gz`. */
export type PendingLayer = {
  readonly id: LayerId
  readonly diffId: DiffId
  readonly parent: LayerId | undefined
  readonly dir: string
  readonly facts: UnpackedFacts
}

export class Pending {
  readonly #layers = new Map<LayerId, PendingLayer>()
  readonly #unsynced = new Unsynced()

  get lostTimes(): number {
    return this.#unsynced.times
  }

  get(id: LayerId): PendingLayer | undefined {
    return this.#layers.get(id)
  }

  byDiffId(diffId: DiffId): PendingLayer | undefined {
    return this.#layers.values().find((layer) => layer.diffId === diffId)
  }

  /** Throws why it was lost for what was staged before a sync failed. */
  add(layer: PendingLayer, staged: Staged): void {
    this.#unsynced.check(layer.id, staged)
    this.#layers.set(layer.id, layer)
  }

  drop(id: LayerId): void {
    this.#layers.delete(id)
  }

  /** Those that are not held, and that none that is held stands on. */
  loose(held: Iterable<LayerId>): readonly LayerId[] {
    const needed = this.#neededBy(held)
    return [...this.#layers.keys()].filter((id) => !needed.has(id))
  }

  /** Takes those out; children first. */
  takeLoose(held: Iterable<LayerId>): readonly PendingLayer[] {
    const needed = this.#neededBy(held)
    return this.#take(({ id }) => !needed.has(id))
  }

  /** Takes out a layer and all that stand on it; children first. */
  takeWithAbove(id: LayerId): readonly PendingLayer[] {
    const gone = new Set([id])
    // A layer is added after the one below it.
    for (const layer of this.#layers.values()) if (layer.parent !== undefined && gone.has(layer.parent)) gone.add(layer.id)
    return this.#take((layer) => gone.has(layer.id))
  }

  /** After a failed sync nobody can say which of the files written before it are on disk. */
  takeAll(failure: Failure): readonly PendingLayer[] {
    this.#unsynced.failed(failure)
    return this.#take(() => true)
  }

  /** Why a layer that an image needs is not here. */
  missing(id: LayerId): Failure {
    return this.#unsynced.missing(id)
  }

  #neededBy(held: Iterable<LayerId>): ReadonlySet<LayerId> {
    const needed = new Set<LayerId>()
    for (const top of held) {
      for (let layer = this.#layers.get(top); layer !== undefined; ) {
        needed.add(layer.id)
        layer = layer.parent === undefined ? undefined : this.#layers.get(layer.parent)
      }
    }
    return needed
  }

  #take(isTaken: (layer: PendingLayer) => boolean): readonly PendingLayer[] {
    const taken = [...this.#layers.values()].filter(isTaken)
    for (const { id } of taken) this.#layers.delete(id)
    return taken.reverse()
  }
}
