/**
 * The database and what podman and CRI-O read of it, changed together. The changes are counted in the database and in a file beside it,
 * which is written last: where the file has counted more, the database has lost what was committed (its journal was removed, say), and
 * the JSON files know better.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { asWindlassError, failureOf } from '../../failure/failure.ts'
import type { StoreLog } from '../common/log.ts'
import type { Catalogue, Change } from './catalogue.ts'
import { isAbsence } from './foreign.ts'
import type { Ledger } from './ledger.ts'
import type { Reserve } from './reserve.ts'

export class Books {
  readonly #ledger: Ledger
  readonly #catalogue: Catalogue
  readonly #reserve: Reserve
  readonly #editionFile: string
  readonly #log: StoreLog

  constructor(ledger: Ledger, catalogue: Catalogue, reserve: Reserve, editionFile: string, log: StoreLog) {
    this.#ledger = ledger
    this.#catalogue = catalogue
    this.#reserve = reserve
    this.#editionFile = editionFile
    this.#log = log
  }

  /**
   * Runs `work` in one transaction. `changeOf` says what that means for the catalogue, undefined for nothing. After a throw neither has
   * changed. Throws no-space, system.
   */
  change<T>(work: () => T, changeOf: (result: T) => Change | undefined): T {
    using open = new DisposableStack()
    const { result, number, edition } = this.#ledger.transaction(() => {
      const result = work()
      const change = changeOf(result)
      if (change === undefined) return { result }
      return { result, number: this.#ledger.countEdition(), edition: open.use(this.#catalogue.prepare(change)) }
    })
    edition?.show()
    if (number !== undefined) this.#note(number)
    this.#reserve.fill(this.#catalogue.bytes)
    return result
  }

  /** Not synced: what a power cut takes of it makes it count less, never more than the database has on disk. */
  #note(number: number): void {
    try {
      writeFileSync(this.#editionFile, String(number), { mode: 0o600 })
    } catch (error) {
      // The change is made and on disk; without the file a lost journal would go unnoticed, and no more than that.
      this.#log.warn({ failure: failureOf(error) }, 'how many changes the database has seen could not be written beside it')
    }
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

/** How many changes a database here has seen; undefined where that was not written down. */
export function notedEdition(editionFile: string): number | undefined {
  try {
    const noted = Number.parseInt(readFileSync(editionFile, 'utf8'), 10)
    return Number.isSafeInteger(noted) ? noted : undefined
  } catch (error) {
    if (isAbsence(error)) return undefined
    throw error
  }
}
