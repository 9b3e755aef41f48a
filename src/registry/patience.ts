/** How long a host is waited for where another one could be asked instead. */
import type { Abortable } from '../task/task.ts'
import type { Trouble } from './errors.ts'
import type { PaceLimits } from './pace.ts'

/** One try at one host. */
export type Attempt = Abortable & {
  readonly pace: PaceLimits
  /** It has begun to answer: from here on its pace counts, and not the time until then. */
  heard(): void
  /** Does what this host is not to blame for: finding out who logs in, say. Its time does not count. */
  aside<T>(work: () => Promise<T>): Promise<T>
}

/** From the first request to a host until the next one is asked, if it does not begin to answer, or falls silent. */
export const PATIENCE_MS = 4_500

/** Ends a try that has not begun to answer in time. */
export class Patience implements Disposable {
  readonly #over = new AbortController()
  readonly #ms: number
  #timer: NodeJS.Timeout | undefined
  /** Undefined while the clock stands still. */
  #runsSince: number | undefined
  #spentMs = 0
  #isDone = false

  constructor(ms: number) {
    this.#ms = ms
    this.#run()
  }

  get isOver(): boolean {
    return this.#over.signal.aborted
  }

  /** What of the time this try took was spent waiting for an answer. */
  get spentMs(): number {
    return this.#spentMs + (this.#runsSince === undefined ? 0 : performance.now() - this.#runsSince)
  }

  attempt({ signal }: Abortable, pace: PaceLimits): Attempt {
    return {
      signal: AbortSignal.any([signal, this.#over.signal]),
      pace: { ...pace, silentMs: PATIENCE_MS },
      heard: () => this.#end(),
      aside: async (work) => {
        this.#hold()
        try {
          return await work()
        } finally {
          this.#run()
        }
      },
    }
  }

  [Symbol.dispose](): void {
    this.#end()
  }

  #run(): void {
    if (this.#isDone) return
    this.#runsSince = performance.now()
    this.#timer = setTimeout(() => this.#over.abort(), Math.max(0, this.#ms - this.#spentMs))
  }

  #hold(): void {
    this.#spentMs = this.spentMs
    this.#runsSince = undefined
    clearTimeout(this.#timer)
  }

  #end(): void {
    this.#hold()
    this.#isDone = true
  }
}

/** With time left, whatever it takes; only the pace is watched. */
export const patientAttempt = ({ signal }: Abortable, pace: PaceLimits): Attempt => ({
  signal,
  pace,
  heard: () => {},
  aside: (work) => work(),
})

export const tooLate = (): Trouble => ({
  kind: 'unreachable',
  result: `no answer within ${PATIENCE_MS / 1000} s`,
  definite: true,
  silent: true,
  cause: new Error('another host is asked instead'),
})
