/** One blob, streamed: tries and hosts come and go behind a transfer that hands each byte to the sink once and in order. */
import type { Failure } from '../failure/failure.ts'
import { fail } from '../failure/failure.ts'
import type { Descriptor } from '../oci/oci.ts'
import type { ByteSink } from '../task/task.ts'
import type { Result } from './errors.ts'
import type { Consumer, Head } from './exchange.ts'
import type { Host } from './hosts.ts'
import type { Transfer } from './registry.ts'
import type { Question, Requests } from './request.ts'
import { contentEncoding } from './resolve.ts'
import type { Progress } from './walk.ts'

/** A try that brings less is one without progress: a peer that hands out bytes one by one is not waited for. */
const WORTH_A_TRY = 64 * 1024

/** Where an answer's bytes lie in the blob, or why they are of no use. */
type Placement = { readonly from: number } | { readonly unfit: string; readonly size?: number }

export class BlobTransfer {
  readonly progress: Progress = { mark: 0 }
  readonly #requests: Requests
  readonly #blob: Descriptor
  readonly #sink: ByteSink
  readonly #signal: AbortSignal
  /** Bytes the sink has; also where the next try begins. */
  #offset = 0
  #attempts = 0
  #firstByteMs: number | undefined
  /** Hosts whose ranges are wrong: they are asked for the whole blob, and what is here already is passed over. */
  readonly #rangeless = new Set<string>()
  /** Where this host last ended an answer as if the blob were complete. */
  #endedAt: number | undefined

  constructor(requests: Requests, blob: Descriptor, sink: ByteSink, signal: AbortSignal) {
    this.#requests = requests
    this.#blob = blob
    this.#sink = sink
    this.#signal = signal
  }

  /** One try at one host, from where the last one ended. */
  async attempt(host: Host, question: Question): Promise<Result<Transfer>> {
    const { size } = this.#blob
    const start = this.#offset
    const started = performance.now()
    this.#attempts++
    const ranged = start > 0 && !this.#rangeless.has(host.name)
    let unfit: Exclude<Placement, { from: number }> | undefined
    const receive = (head: Head): Consumer => {
      const placement = this.#place(head, ranged)
      if ('from' in placement) return this.#deliver(host, start - placement.from, started)
      unfit = placement
      return () => 'stop'
    }
    const headers: Record<string, string> = ranged ? { range: `bytes=${start}-` } : {}
    const answer = await this.#requests.send(host, { ...question, headers }, receive, this.#signal)
    if (this.#offset - start >= WORTH_A_TRY || (this.#offset === size && this.#offset > start)) this.progress.mark = this.#offset
    // A cut after the last byte cuts nothing off.
    if (this.#offset === size && (size > 0 || 'value' in answer) && unfit === undefined) return { value: this.#report(host) }
    if ('trouble' in answer) return this.#afterRefusal(answer, host, ranged)
    return unfit === undefined ? this.#endedShort(host) : this.#afterUnfit(unfit, host, ranged)
  }

  #report(host: Host): Transfer {
    return { host: host.name, bytes: this.#offset, attempts: this.#attempts, firstByteMs: this.#firstByteMs ?? 0 }
  }

  /** Reads the head of a 2xx answer (RFC 9110 §14.4; strict, for wrong bytes are found out only at the very end). */
  #place({ status, headers }: Head, ranged: boolean): Placement {
    const { size } = this.#blob
    const encoding = contentEncoding(headers)
    if (encoding !== undefined) return { unfit: `it sends the blob ${encoding}-encoded, and was not asked to` }
    const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length'])
    if (status === 200)
      return length === undefined || length === size ? { from: 0 } : { unfit: `it has ${length} bytes of ${size}`, size: length }
    if (status !== 206 || !ranged) return { unfit: `it answered ${status} where 200 was expected` }
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec([headers['content-range'] ?? []].flat().join(', '))
    const [, first, last, total] = range ?? []
    if (Number(first) !== this.#offset || Number(last) !== size - 1 || (total !== '*' && Number(total) !== size)) {
      return { unfit: 'its Content-Range is not the range that was asked for' }
    }
    return { from: this.#offset }
  }

  /** The hot path. `skip` bytes are here already. */
  #deliver(host: Host, skip: number, started: number): Consumer {
    const { size, digest } = this.#blob
    return (chunk) => {
      this.#firstByteMs ??= performance.now() - started
      let fresh = chunk
      if (skip > 0) {
        fresh = chunk.subarray(skip)
        skip -= chunk.length - fresh.length
        if (fresh.length === 0) return undefined
      }
      const end = this.#offset + fresh.length
      if (end > size) fail({ kind: 'size-mismatch', digest, want: size, got: end, from: host.name })
      this.#offset = end
      return this.#sink.write(fresh)
    }
  }

  /** A resume that is refused for its range: the whole blob is asked for instead, once. */
  #afterRefusal(answer: Exclude<Result<Head>, { value: Head }>, host: Host, ranged: boolean): Result<Transfer> {
    if (ranged && answer.trouble.kind === 'server-error' && answer.trouble.status === 416) this.#rangeless.add(host.name)
    return answer
  }

  #afterUnfit(unfit: { readonly unfit: string; readonly size?: number }, host: Host, ranged: boolean): Result<Transfer> {
    if (unfit.size !== undefined) return this.#wrongSize(host, unfit.size)
    if (ranged) {
      this.#rangeless.add(host.name)
      return { trouble: { kind: 'server-error', result: unfit.unfit, retryAfterMs: 0 } }
    }
    return this.#failed({ kind: 'malformed', what: 'answer', from: host.name, reason: unfit.unfit }, unfit.unfit)
  }

  /** The answer ended as a whole one does, before the blob's size: tried again, for a proxy may have cut it; believed the second time. */
  #endedShort(host: Host): Result<Transfer> {
    if (this.#endedAt === this.#offset) return this.#wrongSize(host, this.#offset)
    this.#endedAt = this.#offset
    this.#rangeless.add(host.name)
    return {
      trouble: {
        kind: 'server-error',
        result: `it ended after ${this.#offset} of ${this.#blob.size} bytes`,
        retryAfterMs: undefined,
      },
    }
  }

  #wrongSize(host: Host, got: number): Result<Transfer> {
    const { digest, size } = this.#blob
    return this.#failed({ kind: 'size-mismatch', digest, want: size, got, from: host.name }, `it has ${got} bytes of ${size}`)
  }

  #failed(failure: Failure, result: string): Result<Transfer> {
    return { trouble: { kind: 'failed', result, failure } }
  }
}
