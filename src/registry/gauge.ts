/** Whether one connection is what a layer waits for: then several may bring it sooner. */

/** Measured over so long at a time. */
export const TRIAL_MS = 1_000
/** Below this share of the time the sink, or a limit of our own, was not what the bytes waited for. */
const MAX_BLOCKED = 0.1
/** Above this share of the time this thread was busy: it is what the bytes waited for, and more connections give it more to do. */
const MAX_BUSY = 0.8
/** Less is there before more connections have come up to speed. */
const WORTH_BYTES = 16 * 1024 * 1024
const WORTH_SECONDS = 2

export class Gauge {
  /** Bytes a second, as last measured. */
  rate = 0
  #bytes = 0
  #blockedMs = 0
  #since: number | undefined
  #loop = performance.eventLoopUtilization()

  /** After each chunk, of which `full` is what the sink said; true where several connections are worth trying for what remains. */
  pays(bytes: number, full: Promise<void> | undefined, remaining: number): boolean {
    const now = performance.now()
    this.#since ??= now
    this.#bytes += bytes
    if (full !== undefined) {
      const count = (): void => {
        this.#blockedMs += performance.now() - now
      }
      full.then(count, count)
      return false
    }
    const ms = now - this.#since
    if (ms < TRIAL_MS) return false
    this.rate = (this.#bytes / ms) * 1000
    const isNetwork = this.#blockedMs < ms * MAX_BLOCKED && performance.eventLoopUtilization(this.#loop).utilization < MAX_BUSY
    this.#loop = performance.eventLoopUtilization()
    this.#since = now
    this.#bytes = 0
    this.#blockedMs = 0
    return isNetwork && remaining >= WORTH_BYTES && remaining / this.rate >= WORTH_SECONDS
  }
}
