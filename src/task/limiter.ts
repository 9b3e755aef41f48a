import type { Abortable } from './task.ts'

/** A place among those that may run at once; disposing it lets the next one in. */
export type Permit = Disposable

type Waiter = { readonly admit: () => void }

/** Lets `limit` run at once, the others in the order they came. */
export class Limiter {
  readonly #limit: number
  readonly #waiting = new Set<Waiter>()
  #running = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Waits for a place. Rejects with the signal's reason. */
  async acquire({ signal }: Abortable): Promise<Permit> {
    signal.throwIfAborted()
    if (this.#running < this.#limit) this.#running++
    else await this.#wait(signal)
    return this.#permit()
  }

  /** A place, if one is free. */
  tryAcquire(): Permit | undefined {
    if (this.#running >= this.#limit) return undefined
    this.#running++
    return this.#permit()
  }

  get free(): number {
    return this.#limit - this.#running
  }

  /** How many run, or wait to. */
  get wanted(): number {
    return this.#running + this.#waiting.size
  }

  /** Nobody runs, and so nobody waits. */
  get isIdle(): boolean {
    return this.#running === 0
  }

  #permit(): Permit {
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        this.#release()
      },
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter: Waiter = { admit: resolve }
    const leave = (): void => {
      if (this.#waiting.delete(waiter)) reject(signal.reason)
    }
    this.#waiting.add(waiter)
    signal.addEventListener('abort', leave, { once: true })
    return promise.finally(() => signal.removeEventListener('abort', leave))
  }

  /** The place goes straight to the next one waiting, so that nobody overtakes. */
  #release(): void {
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter)
      waiter.admit()
      return
    }
    this.#running--
  }
}
