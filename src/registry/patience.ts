/** How long a host is waited for where another one could be asked instead. */
import type { Abortable } from '../task/task.ts'
import type { Trouble } from './errors.ts'
import type { PaceLimits } from './pace.ts'

/** One try at one host. */
export type Attempt = Abortable & {
  readonly pace: PaceLimits
  /** It has begun to answer: from here on its pace counts, and not the time until then. */
  heard(): void
}

/** From the first request to a host until the next one is asked, if it does not begin to answer, or falls silent. */
export const PATIENCE_MS = 4_500

/** Ends a try that has not begun to answer in time. */
export class Patience implements Disposable {
  readonly #over = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #started = performance.now()
  #spentMs: number | undefined

  constructor(ms: number) {
    this.#timer = setTimeout(() => this.#over.abort(), Math.max(0, ms))
  }

  get isOver(): boolean {
    return this.#over.signal.aborted
  }

  /** What of the time this try took was spent waiting for an answer. */
  get spentMs(): number {
    return this.#spentMs ?? performance.now() - this.#started
  }

  attempt({ signal }: Abortable, pace: PaceLimits): Attempt {
    return {
      signal: AbortSignal.any([signal, this.#over.signal]),
      pace: { ...pace, silentMs: PATIENCE_MS },
      heard: () => this.#heard(),
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }

  #heard(): void {
    this.#spentMs ??= performance.now() - this.#started
    clearTimeout(this.#timer)
  }
}

/** With time left, whatever it takes; only the pace is watched. */
export const patientAttempt = ({ signal }: Abortable, pace: PaceLimits): Attempt => ({ signal, pace, heard: () => {} })

export const tooLate = (): Trouble => ({
  kind: 'unreachable',
  result: `no answer within ${PATIENCE_MS / 1000} s`,
  definite: true,
  silent: true,
  cause: new Error('another host is asked instead'),
})
