/** The main thread's end of the janitor: started at the first sweep, given a moment to finish at the end. */
import { setTimeout } from 'node:timers/promises'
import { failureOf } from '../../failure/failure.ts'
import type { JanitorData, JanitorDuties } from './janitor.ts'
import type { StoreLog } from './log.ts'
import { beside, Thread } from './thread.ts'

/** How long the end of the store waits for the trash to be empty; the next start removes what is left. */
const PATIENCE_MS = 2000

export class Sweeper implements AsyncDisposable {
  readonly #data: JanitorData
  readonly #log: StoreLog
  #janitor: Thread<JanitorDuties> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #ended = false

  constructor(trash: string, log: StoreLog) {
    this.#data = { trash, stop: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) }
    this.#log = log
  }

  /** Removes what is in the trash now. Throws system. */
  sweep(): Promise<boolean> {
    this.#janitor ??= new Thread<JanitorDuties>(beside(import.meta.url, 'janitor'), 'store janitor', this.#data, this.#log)
    const swept = this.#janitor.call('sweep', null)
    this.#last = swept.catch(() => false)
    return swept
  }

  /** The same, while nobody waits: a failure is only logged, and the next sweep tries again. After the end, the next start does. */
  sweepLater(): void {
    if (this.#ended) return
    this.sweep().catch((error) => this.#log.error({ failure: failureOf(error) }, 'the trash could not be emptied'))
  }

  /** Resolves once the sweeps asked for until now are over, however they ended. */
  async idle(): Promise<void> {
    await this.#last
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true
    if (this.#janitor === undefined) return
    const patience = new AbortController()
    await Promise.race([this.#last, setTimeout(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined)])
    patience.abort()
    Atomics.store(new Int32Array(this.#data.stop), 0, 1)
    await this.#janitor[Symbol.asyncDispose]()
  }
}
