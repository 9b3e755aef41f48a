/** What failed syncs have lost: files written before one may be missing although a later one succeeds (fsync(2)). */
import { type Failure, fail } from '../../failure/failure.ts'
import type { LayerId } from '../../oci/digest.ts'

export class Unsynced {
  #times = 0
  #last: Failure | undefined

  /** How often a sync has failed: what is staged remembers it, and compares later. */
  get times(): number {
    return this.#times
  }

  failed(failure: Failure): void {
    this.#times++
    this.#last = failure
  }

  /** Throws why the layer cannot be relied on where a sync has failed since it was begun. */
  check(id: LayerId, { lostBefore }: { readonly lostBefore: number }): void {
    if (lostBefore !== this.#times) fail(this.missing(id))
  }

  /** Why a layer that an image needs is not here. */
  missing(id: LayerId): Failure {
    return this.#last ?? { kind: 'internal', what: `layer ${id} is needed, and was never committed or no lease held it` }
  }
}
