/** What has lost its purpose: moved into the trash, and removed there by the janitor, which is started at the first sweep. */
import { randomUUID } from 'node:crypto'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { failureOf } from '../../failure/failure.ts'
import { beside } from '../../task/beside.ts'
import type { JanitorData, JanitorDuties } from './janitor.ts'
import type { StoreLog } from './log.ts'
import { Thread } from './thread.ts'

/** How long the end of the store waits for the trash to be empty; the next start removes what is left. */
const PATIENCE_MS = 2000
const RETRY_MS = 60_000
/** A thread that waits holds 9 MB. */
const IDLE_MS = 10_000

export class Sweeper implements AsyncDisposable {
  readonly #data: JanitorData
  readonly #log: StoreLog
  #janitor: Thread<JanitorDuties> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #ended = false
  /** What could not be moved into the trash yet. */
  readonly #left = new Set<string>()
  #retry: NodeJS.Timeout | undefined
  #resting: NodeJS.Timeout | undefined

  constructor(trash: string, log: StoreLog) {
    this.#data = { trash, stop: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) }
    this.#log = log
  }

  /** Takes a directory of the same file system out of the way at once; where that fails, it is tried again as a sweep is. */
  async discard(dir: string): Promise<void> {
    this.#left.add(dir)
    await this.#move()
    this.#unawaited(() => this.sweep())
  }

  /** Removes what is in the trash now. Throws system. */
  sweep(): Promise<boolean> {
    clearTimeout(this.#resting)
    this.#janitor ??= new Thread<JanitorDuties>(beside(import.meta.url, 'janitor'), 'store janitor', this.#data, this.#log)
    const swept = this.#janitor.call('sweep', null)
    this.#last = swept.catch(() => false).finally(() => this.#rest())
    return swept
  }

  /** The same, while nobody waits, and of what could not be moved there before: whoever removes something may have made room for it. */
  sweepLater(): void {
    this.#unawaited(() => (this.#left.size === 0 ? this.sweep() : this.#moveAndSweep()))
  }

  /** A failure is only logged, and tried again later. After the end, the next start does. */
  #unawaited(work: () => Promise<unknown>): void {
    if (this.#ended) return
    work().catch((error) => {
      this.#log.error({ failure: failureOf(error) }, 'the trash could not be emptied')
      this.#tryAgain()
    })
  }

  /** Resolves once the sweeps asked for until now are over, however they ended. */
  async idle(): Promise<void> {
    await this.#last
  }

  /** The thread goes when it has had nothing to do for a while, and the next sweep starts another. */
  #rest(): void {
    clearTimeout(this.#resting)
    if (this.#ended) return
    this.#resting = setTimeout(() => {
      const janitor = this.#janitor
      this.#janitor = undefined
      void janitor?.[Symbol.asyncDispose]()
    }, IDLE_MS).unref()
  }

  #moveAndSweep(): Promise<unknown> {
    const swept = this.#move().then(() => this.#ended || this.sweep())
    this.#last = swept.catch(() => false)
    return swept
  }

  async #move(): Promise<void> {
    for (const dir of this.#left) {
      try {
        await rename(dir, join(this.#data.trash, randomUUID()))
        this.#left.delete(dir)
      } catch (error) {
        const failure = failureOf(error)
        // Somebody else has thrown it away already.
        if (failure.kind === 'system' && failure.code === 'ENOENT') this.#left.delete(dir)
        else this.#log.error({ failure }, 'a directory could not be moved into the trash')
      }
    }
    if (this.#left.size > 0) this.#tryAgain()
  }

  /** A file system that is full to its quota refuses even this (btrfs). */
  #tryAgain(): void {
    if (this.#ended) return
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined
      this.sweepLater()
    }, RETRY_MS).unref()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true
    clearTimeout(this.#retry)
    clearTimeout(this.#resting)
    if (this.#janitor === undefined) return
    const patience = new AbortController()
    await Promise.race([this.#last, delay(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined)])
    patience.abort()
    Atomics.store(new Int32Array(this.#data.stop), 0, 1)
    await this.#janitor[Symbol.asyncDispose]()
  }
}
