/** The database and what podman and CRI-O read of it, changed together. */
import { asWindlassError } from '../../failure/failure.ts'
import type { Catalogue, Change } from './catalogue.ts'
import type { Ledger } from './ledger.ts'
import type { Reserve } from './reserve.ts'

export class Books {
  readonly #ledger: Ledger
  readonly #catalogue: Catalogue
  readonly #reserve: Reserve

  constructor(ledger: Ledger, catalogue: Catalogue, reserve: Reserve) {
    this.#ledger = ledger
    this.#catalogue = catalogue
    this.#reserve = reserve
  }

  /**
   * Runs `work` in one transaction. `changeOf` says what that means for the catalogue, undefined for nothing. After a throw neither has
   * changed. Throws no-space, system.
   */
  change<T>(work: () => T, changeOf: (result: T) => Change | undefined): T {
    using open = new DisposableStack()
    const { result, edition } = this.#ledger.transaction(() => {
      const result = work()
      const change = changeOf(result)
      return { result, edition: change === undefined ? undefined : open.use(this.#catalogue.prepare(change)) }
    })
    edition?.show()
    this.#reserve.fill(this.#catalogue.bytes)
    return result
  }

  /** The same for a change that makes room: it has the reserve to use. */
  shrink<T>(work: () => T, changeOf: (result: T) => Change | undefined): T {
    try {
      return this.change(work, changeOf)
    } catch (error) {
      if (asWindlassError(error).failure.kind !== 'no-space') throw error
      this.#reserve.release()
      return this.change(work, changeOf)
    }
  }
}
