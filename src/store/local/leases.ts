/** Which layers are held by work under way. */
import type { LayerId } from '../../oci/digest.ts'
import type { Lease } from '../store.ts'

export class Leases {
  readonly #open = new Set<Set<LayerId>>()

  open(): Lease {
    const layers = new Set<LayerId>()
    this.#open.add(layers)
    return {
      retain: (layer) => void layers.add(layer),
      [Symbol.dispose]: () => void this.#open.delete(layers),
    }
  }

  held(): Iterable<LayerId> {
    return [...this.#open].flatMap((layers) => [...layers])
  }
}
