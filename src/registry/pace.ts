/**
 * Whether an answer's bytes come as fast as they must. The clock runs only while the socket should deliver: not while whoever takes the
 * bytes is full, and not while a limit of our own holds them back.
 */

export type PaceLimits = {
  /** So long an answer may take to begin, from the request on: with its status, for interim answers (RFC 9110 §15.2) begin nothing. */
  readonly headMs?: number
  /** So long nothing may come, from the request on. */
  readonly silentMs?: number
  /** In so long at least so many bytes, once there is one: a peer that hands them out singly stands still too. */
  readonly slow?: { readonly bytes: number; readonly ms: number }
}

export class TooSlow extends Error {
  readonly code = 'ERR_TOO_SLOW'
}

export class Pace implements Disposable {
  readonly #limits: PaceLimits
  readonly #onSlow: (error: TooSlow) => void
  readonly #timer: NodeJS.Timeout | undefined
  #hasHead = false
  #bytes = 0
  #activeMs = 0
  #since: number | undefined
  /** What the last look found, and the beginning of the span that is measured. */
  #last = { bytes: 0, activeMs: 0 }
  #span = { bytes: 0, activeMs: 0 }

  constructor(limits: PaceLimits, onSlow: (error: TooSlow) => void) {
    this.#limits = limits
    this.#onSlow = onSlow
    const spans = [limits.headMs, limits.silentMs, limits.slow?.ms]
    const shortest = Math.min(...spans.map((ms) => ms ?? Number.POSITIVE_INFINITY))
    if (shortest === Number.POSITIVE_INFINITY) return
    this.#timer = setInterval(() => this.#look(), Math.max(10, shortest / 8)).unref()
  }

  heard(): void {
    this.#hasHead = true
  }

  took(bytes: number): void {
    this.#bytes += bytes
  }

  run(): void {
    this.#since ??= performance.now()
  }

  hold(): void {
    this.#activeMs = this.#active()
    this.#since = undefined
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #active(): number {
    return this.#activeMs + (this.#since === undefined ? 0 : performance.now() - this.#since)
  }

  #look(): void {
    const now = { bytes: this.#bytes, activeMs: this.#active() }
    const { headMs, silentMs, slow } = this.#limits
    if (!this.#hasHead && headMs !== undefined && now.activeMs >= headMs) {
      this.#tell('timeout while waiting for an answer')
      return
    }
    if (now.bytes !== this.#last.bytes) this.#last = now
    else if (silentMs !== undefined && now.activeMs - this.#last.activeMs >= silentMs) {
      this.#tell(`no byte for ${seconds(silentMs)}`)
      return
    }
    if (slow === undefined || now.activeMs - this.#span.activeMs < slow.ms) return
    const came = now.bytes - this.#span.bytes
    if (came > 0 && came < slow.bytes) this.#tell(`only ${came} bytes in ${seconds(slow.ms)}`)
    this.#span = now
  }

  #tell(message: string): void {
    this[Symbol.dispose]()
    this.#onSlow(new TooSlow(message))
  }
}

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`
