/**
 * Who has asked to be left alone until when (RFC 9110 §10.2.3). Nobody is taken at their word for ever: where a pause is long, one caller
 * asks now and then all the same, and what that one is told is everybody's.
 */

/** What the pause was asked for with: by one who limits, or by one who cannot at the moment. */
export type PauseKind = 'rate-limited' | 'server-error'

export type Pause = { readonly kind: PauseKind; readonly leftMs: number }

/** Times on the clock of `performance`. `isTried`: somebody asks, or has asked, in the middle of it. */
type Kept = { kind: PauseKind; until: number; nextTry: number; isTried: boolean }

const MAX_UNTRIED_MS = 300_000
/** What one who tries has until the next one does. */
const TRY_MS = 30_000
/** Hosts come from references, which pods choose. */
const MAX_REMEMBERED = 1_000

export class Pauses {
  readonly #kept = new Map<string, Kept>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** The pause that keeps this caller away. Undefined: ask now; where it is the middle of a long pause, the others are kept away meanwhile. */
  enter(key: string): Pause | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    // The map's order is the order of use: what nobody asks for any more is forgotten first.
    this.#kept.delete(key)
    const now = this.#now()
    if (kept.until <= now) return undefined
    this.#kept.set(key, kept)
    if (kept.nextTry > now) return { kind: kept.kind, leftMs: kept.until - now }
    kept.nextTry = now + TRY_MS
    kept.isTried = true
    return undefined
  }

  /** A later end wins over an earlier one, but for what one who tried was told: that is news. */
  begin(key: string, ms: number, kind: PauseKind): void {
    const until = this.#now() + ms
    const before = this.#kept.get(key)
    if (before !== undefined && !before.isTried && before.until >= until) return
    this.#kept.delete(key)
    this.#kept.set(key, { kind, until, nextTry: Math.min(until, this.#now() + MAX_UNTRIED_MS), isTried: false })
    this.#forgetSome()
  }

  /** An answer: it ends a pause in which somebody has tried. Else it may be one to a request from before the pause. */
  answered(key: string): void {
    if (this.#kept.get(key)?.isTried === true) this.#kept.delete(key)
  }

  #forgetSome(): void {
    if (this.#kept.size <= MAX_REMEMBERED) return
    for (const [key, { until }] of this.#kept) if (until <= this.#now()) this.#kept.delete(key)
    for (const key of this.#kept.keys()) {
      if (this.#kept.size <= MAX_REMEMBERED) break
      this.#kept.delete(key)
    }
  }
}

/** For messages. */
export const pauseLeft = ({ leftMs }: Pause): string =>
  `it has asked for a pause, of which ${Math.ceil(leftMs / 1000)} s are left`
