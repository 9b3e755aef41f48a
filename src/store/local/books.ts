/** The database and what podman and CRI-O read of it, changed together. */
import type { Catalogue, Change } from './catalogue.ts'
import type { Ledger } from './ledger.ts'

export class Books {
  readonly #ledger: Ledger
  readonly #catalogue: Catalogue

  constructor(ledger: Ledger, catalogue: Catalogue) {
    this.#ledger = ledger
    this.#catalogue = catalogue
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
    return result
  }
}
