/** One layer on its way through an extractor. */
import { asWindlassError, WindlassError } from '../failure/failure.ts'
import type { Rank } from '../sys/rank.ts'
import type { Abortable } from '../task/task.ts'
import type { Extractor } from './child.ts'
import type { Job } from './messages.ts'
import type { RingWriter } from './ring.ts'
import type { UnpackedLayer, Unpacking } from './unpack.ts'

export class Extraction implements Unpacking {
  readonly #extractor: Extractor
  readonly #ring: RingWriter
  readonly #signal: AbortSignal
  readonly #result: Promise<UnpackedLayer>
  readonly #onAbort: () => void
  readonly #grant: () => number
  #isGranted = false
  #failure: WindlassError | undefined
  #ended = false
  #blockedMs = 0

  /** `grant` says, once its first bytes are here, how many processors it may take; `release` is called when it has ended. */
  constructor(
    extractor: Extractor,
    job: Job,
    fds: readonly number[],
    { signal, grant, release }: Abortable & { readonly grant: () => number; readonly release: () => void },
  ) {
    this.#extractor = extractor
    this.#grant = grant
    this.#ring = extractor.ring
    this.#signal = signal
    this.#onAbort = () => this.#stop(asWindlassError(signal.reason))
    this.#result = extractor.run(job, fds).then((end) => {
      signal.removeEventListener('abort', this.#onAbort)
      this.#ended = true
      extractor.rank('usual')
      this.#blockedMs = this.#ring.blockedMs
      release()
      if (end.ok && 'layer' in end) return end.layer
      if (end.ok) throw new WindlassError({ kind: 'internal', what: 'an extractor answers what nobody asked' })
      this.#failure ??= new WindlassError(end.failure, end.stack)
      throw this.#failure
    })
    // Whoever disposes before `finish` does not look at the result.
    this.#result.catch(() => {})
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  get blockedMs(): number {
    return this.#ended ? this.#blockedMs : this.#ring.blockedMs
  }

  rank(rank: Rank): void {
    if (!this.#ended) this.#extractor.rank(rank)
  }

  get unread(): number {
    return this.#ended ? 0 : this.#ring.unread
  }

  get unpacked(): number {
    return this.#ended ? 0 : this.#ring.reported
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure
    // Once the job has ended the ring is another one's.
    if (this.#ended) return undefined
    if (!this.#isGranted) this.#ring.grant(this.#grant())
    this.#isGranted = true
    const full = this.#ring.write(chunk)
    return full?.then(() => {
      if (this.#failure !== undefined) throw this.#failure
    })
  }

  async finish(): Promise<UnpackedLayer> {
    if (this.#failure === undefined && !this.#ended) this.#ring.end()
    try {
      return await this.#result
    } catch (error) {
      throw this.#signal.aborted && this.#failure !== undefined ? this.#failure : error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop(new WindlassError({ kind: 'cancelled', reason: 'cancelled' }))
    await this.#result.catch(() => {})
  }

  /** The first reason is the one told. */
  #stop(failure: WindlassError): void {
    if (this.#failure !== undefined || this.#ended) return
    this.#failure = failure
    this.#extractor.stop()
  }
}
