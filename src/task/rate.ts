/** Shorter waits are below what timers can keep. */
const MIN_WAIT_MS = 5
/** What was not used in the time before may be made up for. */
const BURST_MS = 100

/** Bytes a second for all who count theirs here: a token bucket. */
export class Rate {
  readonly #bytesPerSecond: number | undefined
  #paidUntil = 0

  /** Undefined: no limit. */
  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Counts bytes that came; for how many milliseconds the next must wait, undefined where they came no faster than they may. */
  spend(bytes: number): number | undefined {
    if (this.#bytesPerSecond === undefined) return undefined
    const now = performance.now()
    this.#paidUntil = Math.max(this.#paidUntil, now - BURST_MS) + (bytes / this.#bytesPerSecond) * 1000
    const ms = this.#paidUntil - now
    return ms < MIN_WAIT_MS ? undefined : ms
  }
}
