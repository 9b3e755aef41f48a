import type { Abortable } from './task.ts'

type Flight<T> = { readonly result: Promise<T>; readonly controller: AbortController; joined: number }

/** Waits for `promise` unless the signal aborts first; then rejects with its reason. The promise goes on. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: result, resolve, reject } = Promise.withResolvers<T>()
  const onAbort = (): void => reject(signal.reason)
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  return result
}

/**
 * Work shared by everybody who asks for the same key while it is under way. Who leaves does not disturb the others; when the last one
 * has left, the work's signal aborts with that one's reason.
 */
export class Flights<K, T> {
  readonly #flights = new Map<K, Flight<T>>()

  has(key: K): boolean {
    return this.#flights.has(key)
  }

  /** Joins the flight of `key`, or starts it. Rejects with the signal's reason when that aborts, with the work's error otherwise. */
  async join(key: K, start: (signal: AbortSignal) => Promise<T>, { signal }: Abortable): Promise<T> {
    signal.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#start(key, start)
    flight.joined++
    try {
      return await unlessAborted(flight.result, signal)
    } finally {
      flight.joined--
      if (flight.joined === 0) await this.#end(key, flight, signal.reason)
    }
  }

  #start(key: K, start: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController()
    const flight: Flight<T> = { result: start(controller.signal), controller, joined: 0 }
    this.#flights.set(key, flight)
    flight.result.catch(() => {}).then(() => this.#forget(key, flight))
    return flight
  }

  /** The last to leave waits until the work has let go of everything. */
  async #end(key: K, flight: Flight<T>, reason: unknown): Promise<void> {
    this.#forget(key, flight)
    flight.controller.abort(reason)
    await flight.result.catch(() => {})
  }

  /** A flight that ended, or that nobody waits for, is not joined any more. */
  #forget(key: K, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
