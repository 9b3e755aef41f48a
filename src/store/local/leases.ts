/** What pulls and readers need just now. It holds layers from being collected, and what a pull stands on from being removed for room. */
import type { LayerId } from '../../oci/digest.ts'
import type { Lease, LeaseUse, StoredImage } from '../store.ts'
import { mountedLayers } from './mounted.ts'
import type { View } from './view.ts'

export class Leases {
  readonly #view: View
  readonly #leases = new Map<ReadonlySet<LayerId>, LeaseUse>()
  /** Images that a collection is removing. */
  readonly #leaving = new Set<{ readonly top: LayerId; readonly gone: Promise<unknown> }>()

  constructor(view: View) {
    this.#view = view
  }

  lease(use: LeaseUse): Lease {
    const layers = new Set<LayerId>()
    this.#leases.set(layers, use)
    return {
      retain: async (ids) => {
        for (const id of ids) layers.add(id)
        await Promise.allSettled([...this.#leaving].flatMap(({ top, gone }) => (ids.includes(top) ? [gone] : [])))
      },
      [Symbol.asyncDispose]: async () => void this.#leases.delete(layers),
    }
  }

  /** A lease within the store: taken, and given back, at once. */
  hold(ids: readonly LayerId[]): Disposable {
    const layers = new Set(ids)
    this.#leases.set(layers, 'pull')
    return { [Symbol.dispose]: () => void this.#leases.delete(layers) }
  }

  /** What is leased for this, and everything below. */
  leased(wanted: LeaseUse): Set<LayerId> {
    const leased = new Set<LayerId>()
    for (const [layers, use] of this.#leases) if (use === wanted) for (const id of layers) addChain(this.#view, id, leased)
    return leased
  }

  /** Has `remove` take an image away unless something needs it by now; pulls that come to need it while it goes wait for the end of that. */
  async leave({ layerIds }: Pick<StoredImage, 'layerIds'>, remove: () => Promise<boolean>): Promise<boolean> {
    const top = layerIds.at(-1)
    // Without layers there is nothing to mount or to count on.
    if (top === undefined) return await remove()
    if (this.leased('pull').has(top) || mountedLayers([top]).size > 0) return false
    const leaving = { top, gone: remove() }
    this.#leaving.add(leaving)
    try {
      return await leaving.gone
    } finally {
      this.#leaving.delete(leaving)
    }
  }
}

/** A layer, and all those below it that are not in yet. */
export function addChain(view: View, top: LayerId, into: Set<LayerId>): void {
  for (let id: LayerId | undefined = top; id !== undefined && !into.has(id); id = view.layer(id)?.record.parent) into.add(id)
}
