/**
 * What pulls ahead of any pod leave to the pulls that pods wait for: while one of those is under way, layers that are brought ahead stand
 * still where they are, their connections open, and none begins; and at any time they keep within a rate of their own. A layer that both
 * want is the pod's.
 */
import { Rate } from '../task/rate.ts'
import type { Abortable } from '../task/task.ts'

export type AheadLimits = {
  /**
   * Layers brought ahead at once. They must leave a worker, and connections, to a pod's: standing still they give none of them back. 0: there is
   * nothing to leave, and they come as all others do.
   */
  readonly layers: number
  /** Over all of them; absent: no limit. */
  readonly maxBytesPerSecond?: number
}

/** Asked whenever it counts: a pod may come to want what was begun ahead of it. */
export type IsUrgent = () => boolean

export class Brake {
  readonly #limits: AheadLimits
  readonly #pulls = new Set<IsUrgent>()
  readonly #wanted = new Map<string, Set<IsUrgent>>()
  readonly #rate: Rate
  #layers = 0
  #changed = Promise.withResolvers<void>()

  constructor(limits: AheadLimits) {
    this.#limits = limits
    this.#rate = new Rate(limits.maxBytesPerSecond)
  }

  /** A pull is under way until it is disposed. */
  enter(isUrgent: IsUrgent): Disposable {
    this.#pulls.add(isUrgent)
    return {
      [Symbol.dispose]: () => {
        this.#pulls.delete(isUrgent)
        this.changed()
      },
    }
  }

  /** A pull wants this layer until it is disposed. */
  want(layer: string, isUrgent: IsUrgent): Disposable {
    const wanting = this.#wanted.get(layer) ?? new Set()
    // A chain wants a layer for itself, and for each one above it.
    const each: IsUrgent = () => isUrgent()
    this.#wanted.set(layer, wanting.add(each))
    this.changed()
    return {
      [Symbol.dispose]: () => {
        wanting.delete(each)
        if (wanting.size === 0 && this.#wanted.get(layer) === wanting) this.#wanted.delete(layer)
        this.changed()
      },
    }
  }

  /** Whoever waits for whom may be another now. */
  changed(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  /** Waits until the layer may be begun. Rejects with the signal's reason. */
  async admit(layer: string, { signal }: Abortable): Promise<Disposable> {
    while (!this.#isUrgent(layer) && this.#limits.layers > 0 && (this.#mustYield() || this.#layers >= this.#limits.layers)) {
      await this.#change(signal)
      signal.throwIfAborted()
    }
    this.#layers++
    let isHeld = true
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return
        isHeld = false
        this.#layers--
        this.changed()
      },
    }
  }

  /** Whether the layer would have to stand still for a pull that somebody waits for. */
  mayStop(layer: string): boolean {
    return this.#limits.layers > 0 && !this.#isUrgent(layer)
  }

  /** Counts bytes of a layer that came; a promise where the next must wait. It resolves at the latest when the signal aborts. */
  take(layer: string, bytes: number, signal: AbortSignal): Promise<void> | undefined {
    if (this.#isUrgent(layer)) return undefined
    if (this.#limits.layers > 0 && this.#mustYield()) return this.#yield(layer, signal)
    const ms = this.#rate.spend(bytes)
    return ms === undefined ? undefined : this.#pay(layer, ms, signal)
  }

  async #yield(layer: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#isUrgent(layer) && this.#mustYield()) await this.#change(signal)
  }

  /** So long, or until a pod wants the layer. */
  async #pay(layer: string, ms: number, signal: AbortSignal): Promise<void> {
    const due = new AbortController()
    const timer = setTimeout(() => due.abort(), ms)
    const either = AbortSignal.any([signal, due.signal])
    while (!either.aborted && !this.#isUrgent(layer)) await this.#change(either)
    clearTimeout(timer)
  }

  /** Resolves with the next change, or when the signal aborts. */
  async #change(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = (): void => resolve()
    signal.addEventListener('abort', end, { once: true })
    this.#changed.promise.then(end)
    await promise
    signal.removeEventListener('abort', end)
  }

  /** Nobody waits for it but pulls ahead of any pod. */
  isAhead(layer: string): boolean {
    return !this.#isUrgent(layer)
  }

  #mustYield(): boolean {
    return [...this.#pulls].some((isUrgent) => isUrgent())
  }

  #isUrgent(layer: string): boolean {
    return [...(this.#wanted.get(layer) ?? [])].some((isUrgent) => isUrgent())
  }
}
