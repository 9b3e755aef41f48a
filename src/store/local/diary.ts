/** When images were last in use: written down by and by, because it is asked for only when room is needed. */
import { failureOf } from '../../failure/failure.ts'
import type { Digest } from '../../oci/digest.ts'
import type { StoreLog } from '../common/log.ts'

/** What a crash may forget. */
const LATEST_MS = 60_000

export class Diary {
  readonly #write: (used: ReadonlyMap<Digest, Date>) => Promise<unknown>
  readonly #log: StoreLog
  #noted = new Map<Digest, Date>()
  #timer: NodeJS.Timeout | undefined

  constructor(write: (used: ReadonlyMap<Digest, Date>) => Promise<unknown>, log: StoreLog) {
    this.#write = write
    this.#log = log
  }

  note(image: Digest, at: Date): void {
    this.#noted.set(image, at)
    this.#timer ??= setTimeout(() => void this.#flush(), LATEST_MS).unref()
  }

  /** Writes what is noted; from then on nothing may be. */
  async close(): Promise<void> {
    await this.#flush()
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#noted.size === 0) return
    const noted = this.#noted
    this.#noted = new Map()
    try {
      await this.#write(noted)
    } catch (error) {
      // The order in which images go is off by as much; what holds them is not.
      this.#log.warn({ failure: failureOf(error) }, 'when images were last used could not be written down')
    }
  }
}
