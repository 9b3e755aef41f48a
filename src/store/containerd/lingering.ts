/** Layers of a pull that failed wait for its next attempt: at least one round of a timer that all share, at most two. */
import type { LayerId } from '../../oci/digest.ts'

/** A round; layers nobody has come back for go in the next one. */
const ROUND_MS = 300_000

export type LingeringParts = {
  /** The staged layers that nobody holds. */
  loose(): readonly LayerId[]
  /** Drops those that nobody holds, but for these and what they stand on; must not throw. */
  drop(but: readonly LayerId[]): void
}

export class Lingering implements Disposable {
  readonly #parts: LingeringParts
  readonly #roundMs: number
  #lastRound: ReadonlySet<LayerId> = new Set()
  #timer: NodeJS.Timeout | undefined

  constructor(parts: LingeringParts, roundMs = ROUND_MS) {
    this.#parts = parts
    this.#roundMs = roundMs
  }

  /** From now on there may be layers that nobody holds. */
  begin(): void {
    this.#timer ??= setInterval(() => this.#round(), this.#roundMs).unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #round(): void {
    const fresh = this.#parts.loose().filter((id) => !this.#lastRound.has(id))
    this.#parts.drop(fresh)
    this.#lastRound = new Set(fresh)
    if (fresh.length === 0) this[Symbol.dispose]()
  }
}
