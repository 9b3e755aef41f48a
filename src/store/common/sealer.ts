/**
 * Group commit: images that come while a sync runs wait for the next one, and share it. One sync makes everything durable that was
 * written before it began, so none may join a sync under way.
 */
import { asWindlassError, type WindlassError } from '../../failure/failure.ts'

type Waiting<T, R> = { readonly item: T; readonly settled: PromiseWithResolvers<R> }

export class Sealer<T, R> {
  readonly #seal: (items: readonly T[]) => Promise<readonly (R | WindlassError)[]>
  #waiting: Waiting<T, R>[] = []
  #running = false

  /** `seal` takes a group and answers for each, in order. */
  constructor(seal: (items: readonly T[]) => Promise<readonly (R | WindlassError)[]>) {
    this.#seal = seal
  }

  /** Rejects at once when `signal` aborts while waiting; once the sync has begun, the outcome is awaited, so that it is known. */
  add(item: T, signal: AbortSignal): Promise<R> {
    if (signal.aborted) return Promise.reject(asWindlassError(signal.reason))
    const entry: Waiting<T, R> = { item, settled: Promise.withResolvers<R>() }
    const leave = (): void => this.#leave(entry, signal)
    signal.addEventListener('abort', leave)
    this.#waiting.push(entry)
    if (!this.#running) void this.#run()
    return entry.settled.promise.finally(() => signal.removeEventListener('abort', leave))
  }

  #leave(entry: Waiting<T, R>, signal: AbortSignal): void {
    if (!this.#waiting.includes(entry)) return
    this.#waiting = this.#waiting.filter((other) => other !== entry)
    entry.settled.reject(asWindlassError(signal.reason))
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      await this.#settle(group)
    }
    this.#running = false
  }

  async #settle(group: readonly Waiting<T, R>[]): Promise<void> {
    const outcomes = await this.#seal(group.map(({ item }) => item)).catch((error) => group.map(() => asWindlassError(error)))
    group.forEach(({ settled }, i) => {
      const outcome = outcomes[i]
      if (outcome === undefined || outcome instanceof Error) settled.reject(outcome)
      else settled.resolve(outcome)
    })
  }
}
