/**
 * The keeper as the open store calls it: before the first thing that is asked of it everything is brought into line with what is on
 * record, so what is changed from then on finds all in its place.
 */
import { asWindlassError, failureOf } from '../../failure/failure.ts'
import type { StoreLog } from '../common/log.ts'
import type { Sweeper } from '../common/sweeper.ts'
import type { Thread } from '../common/thread.ts'
import type { KeeperDuties } from './keeper.ts'

export class SettledKeeper {
  readonly #thread: Thread<KeeperDuties>
  readonly #sweeper: Sweeper
  readonly #log: StoreLog
  readonly #onLost: ((error: Error) => void) | undefined
  #settled: Promise<void> | undefined

  /** `onLost` is called where the records fail, not for what merely lies there (leftovers.ts): then the owner must end. */
  constructor(thread: Thread<KeeperDuties>, sweeper: Sweeper, log: StoreLog, onLost?: (error: Error) => void) {
    this.#thread = thread
    this.#sweeper = sweeper
    this.#log = log
    this.#onLost = onLost
  }

  /** Calls are taken up in the order they are made. */
  call<K extends keyof KeeperDuties & string>(
    duty: K,
    argument: Parameters<KeeperDuties[K]>[0],
  ): Promise<ReturnType<KeeperDuties[K]>> {
    void this.settle()
    return this.#thread.call(duty, argument)
  }

  /** Once. Resolves also where that fails: it is told by then. */
  settle(): Promise<void> {
    this.#settled ??= this.#settle()
    return this.#settled
  }

  async #settle(): Promise<void> {
    try {
      if (await this.#thread.call('settle', null)) this.#sweeper.sweepLater()
    } catch (error) {
      const failure = failureOf(error)
      this.#log.error({ failure }, 'what lies in the store could not be brought into line with what is on record')
      this.#onLost?.(asWindlassError(error))
    }
  }
}
