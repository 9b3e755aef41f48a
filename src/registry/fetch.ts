/** One blob, streamed: tries and hosts come and go behind a transfer that hands each byte to the sink once and in order. */
import type { Failure } from '../failure/failure.ts'
import { fail } from '../failure/failure.ts'
import type { Descriptor } from '../oci/oci.ts'
import { type ByteSink, both } from '../task/task.ts'
import type { Result, Trouble } from './errors.ts'
import type { Consumer, Head } from './exchange.ts'
import { Gauge } from './gauge.ts'
import type { Host } from './hosts.ts'
import type { Attempt } from './patience.ts'
import { Pieces } from './pieces.ts'
import { Beginning, type Placement, placementOf, type Span, Validators } from './range.ts'
import { RangeTrust } from './ranges.ts'
import type { From, Trail, Transfer } from './registry.ts'
import type { Question } from './request.ts'
import { pauseAfter, WORTH_A_TRY } from './retry.ts'
import { type Means, Shares } from './shares.ts'
import type { Progress } from './walk.ts'

/** The blob, where its bytes go, what of it is there already, and what is known of tries before this transfer. */
export type Wish = {
  readonly blob: Descriptor
  readonly sink: ByteSink
  readonly from?: From
  readonly trail: Trail
  readonly isPatient?: () => boolean
}

type Unfit = Exclude<Placement, { from: number }>

/** What is found out about one answer while it comes: why it is of no use, or how slow it is. */
type Seen = {
  readonly asked: Span | undefined
  readonly gauge: Gauge | undefined
  unfit?: Unfit
  rate?: number
  /** When its head came. */
  since?: number
}

/** What one request came to; `more`: there is more to ask for. */
type Came = Result<Transfer> | 'more'

type Deliver = (chunk: Buffer) => Promise<void> | undefined

export class BlobTransfer {
  readonly progress: Progress = { mark: 0 }
  readonly #means: Means
  readonly #wish: Wish
  /** Bytes the sink has; also where the next try begins. */
  #offset: number
  #fetched = 0
  #firstByteMs: number | undefined
  readonly #ranges = new RangeTrust()
  /** What was put together of several answers was wrong: it is asked for in one. */
  readonly #isAnew: boolean
  readonly #validators = new Validators()
  readonly #beginning = new Beginning()
  readonly #pieces = new Pieces()
  /** Where this host last ended an answer as if the blob were complete. */
  #endedAt: number | undefined

  constructor(means: Means, wish: Wish) {
    this.#means = means
    this.#wish = wish
    this.#isAnew = wish.trail.isPatched
    this.#offset = wish.from?.offset ?? 0
    this.progress.mark = this.#offset
    if (wish.from !== undefined) this.#beginning.add(wish.from.beginning)
  }

  /** One try at one host, from where the last one ended. */
  async attempt(host: Host, question: Question, attempt: Attempt): Promise<Result<Transfer>> {
    this.#wish.trail.attempts++
    const start = this.#offset
    const result = await this.#bring(host, question, attempt)
    const { size } = this.#wish.blob
    if (this.#offset - start >= WORTH_A_TRY || (this.#offset === size && this.#offset > start)) this.progress.mark = this.#offset
    return result
  }

  /** Over one connection, and over several where they are faster. */
  async #bring(host: Host, question: Question, attempt: Attempt): Promise<Result<Transfer>> {
    for (;;) {
      const streamed = await this.#stream(host, question, attempt)
      const came =
        typeof streamed === 'object' && 'rate' in streamed ? await this.#share(host, question, attempt, streamed.rate) : streamed
      if (came !== 'more') return came
    }
  }

  /** One answer, to its end, or until several connections are worth trying: then with the rate of this one. */
  async #stream(host: Host, question: Question, attempt: Attempt): Promise<Came | { readonly rate: number }> {
    const { size } = this.#wish.blob
    const from = this.#offset
    const hasRanges = this.#ranges.areUsable(host)
    const isPiecewise = this.#wish.isPatient?.() === true && hasRanges && !this.#isAnew
    const end = isPiecewise ? this.#pieces.end(from, size) : size
    const isWhole = (from === 0 && end === size) || !hasRanges
    const asked: Span | undefined = isWhole ? undefined : { from, end }
    const seen: Seen = { gauge: isPiecewise ? undefined : this.#gaugeFor(host), asked }
    const headers: Record<string, string> = asked === undefined ? {} : { range: rangeOf(asked, size) }
    const receive = this.#receiver(host, attempt, seen)
    const answer = await this.#means.requests.send(host, { ...question, headers }, receive, attempt)
    if (seen.rate !== undefined && 'value' in answer) return { rate: seen.rate }
    if (end < size && this.#offset === end && seen.unfit === undefined) {
      this.#ranges.served(host)
      this.#pieces.came(end - from, performance.now() - (seen.since ?? 0))
      return 'more'
    }
    // A cut after the last byte cuts nothing off.
    const isDone = this.#offset === size && (size > 0 || 'value' in answer) && seen.unfit === undefined
    if (isDone) return { value: this.#report(host) }
    if ('trouble' in answer) return this.#afterTrouble(answer, host, asked, this.#offset - from)
    return seen.unfit === undefined ? this.#endedShort(host) : this.#afterUnfit(seen.unfit, host, seen)
  }

  /** Reads the head of an answer, and takes its body where that is what was asked for. */
  #receiver(host: Host, attempt: Attempt, seen: Seen): (head: Head) => Consumer {
    const started = performance.now()
    return (head) => {
      const placement = placementOf(head, this.#wish.blob.size, seen.asked)
      const isSame = this.#validators.agrees(head)
      if (!('from' in placement)) seen.unfit = placement
      else if (!isSame && seen.asked !== undefined) seen.unfit = { unfit: 'its ETag is another than before' }
      else {
        seen.since = performance.now()
        this.#firstByteMs ??= seen.since - started
        const deliver = this.#gauged(host, this.#deliver(host, attempt), seen)
        return placement.from === this.#offset ? deliver : this.#passOver(this.#offset, deliver, seen)
      }
      return () => 'stop'
    }
  }

  /** Stops where several connections may be faster. */
  #gauged(host: Host, deliver: Deliver, seen: Seen): Consumer {
    const { gauge } = seen
    if (gauge === undefined) return deliver
    return (chunk) => {
      const full = deliver(chunk)
      const isSlow = gauge.pays(chunk.length, full, this.#wish.blob.size - this.#offset)
      if (!isSlow || !this.#means.throttle.mayShare(host)) return full
      seen.rate = gauge.rate
      return 'stop'
    }
  }

  #report(host: Host): Transfer {
    const { attempts } = this.#wish.trail
    return { host: host.name, bytes: this.#fetched, attempts, firstByteMs: this.#firstByteMs ?? 0 }
  }

  #gaugeFor(host: Host): Gauge | undefined {
    const isWorthwhile = this.#means.health.isRangeWorthwhile(host) && this.#ranges.areUsable(host)
    return isWorthwhile && !this.#isAnew ? new Gauge() : undefined
  }

  /** The rest over several connections, as far as that is worth it. Where it brings nothing, the one that did well goes on. */
  async #share(host: Host, question: Question, attempt: Attempt, rate: number): Promise<Came> {
    const deliver = this.#deliver(host, attempt)
    const span = { from: this.#offset, end: this.#wish.blob.size }
    const work = { host, question, attempt, validators: this.#validators, span, rate, deliver }
    const { trouble, rangeless, isFruitless } = await new Shares(this.#means, work).run()
    if (this.#offset === span.end) return { value: this.#report(host) }
    if (trouble === undefined) return 'more'
    if (rangeless === true) this.#ranges.areWrong(host)
    if (isFruitless === true) this.#ranges.allFailed(host, trouble)
    if (rangeless === true || isFruitless === true) this.#means.health.rangesWereUseless(host)
    // A pause is the walk's to sit out.
    return this.#ranges.areUsable(host) || pauseAfter(trouble, 1) !== undefined ? { trouble } : 'more'
  }

  /** The hot path: the next bytes of the blob. */
  #deliver(host: Host, { signal }: Attempt): Deliver {
    const { blob, sink, trail } = this.#wish
    const { size, digest } = blob
    const { throttle } = this.#means
    trail.hosts.add(host.name)
    if (this.#offset > 0) trail.isPatched = true
    return (chunk) => {
      const end = this.#offset + chunk.length
      if (end > size) fail({ kind: 'size-mismatch', digest, want: size, got: end, from: host.name })
      this.#beginning.add(chunk)
      this.#offset = end
      this.#fetched += chunk.length
      return both(sink.write(chunk), throttle.take(chunk.length, signal))
    }
  }

  /** Reads what is here already once more; that it is the same is seen by its beginning. */
  #passOver(skip: number, deliver: Consumer, seen: Seen): Consumer {
    const isSame = this.#beginning.comparison()
    return (chunk) => {
      if (skip === 0) return deliver(chunk)
      const known = chunk.subarray(0, skip)
      if (!isSame(known)) {
        seen.unfit = { unfit: 'what it sends now is not what came before' }
        return 'stop'
      }
      skip -= known.length
      return known.length === chunk.length ? undefined : deliver(chunk.subarray(known.length))
    }
  }

  /** A resume that is refused for its range, or brings nothing time and again: the next try asks for the whole blob instead. */
  #afterTrouble(answer: { readonly trouble: Trouble }, host: Host, asked: Span | undefined, brought: number): Result<Transfer> {
    const { trouble } = answer
    const isProgress = brought >= WORTH_A_TRY
    if (asked === undefined) {
      if (!isProgress) this.#ranges.wholeFailed(host)
    } else if (isProgress) this.#ranges.served(host)
    else if (trouble.kind === 'server-error' && trouble.status === 416) this.#ranges.areWrong(host)
    else this.#ranges.failed(host, trouble)
    return answer
  }

  #afterUnfit(unfit: Unfit, host: Host, { asked }: Seen): Result<Transfer> {
    if (unfit.size !== undefined) return this.#wrongSize(host, unfit.size)
    if (asked !== undefined) {
      this.#ranges.areWrong(host)
      return { trouble: { kind: 'server-error', result: unfit.unfit, retryAfterMs: 0 } }
    }
    return failed({ kind: 'malformed', what: 'answer', from: host.name, reason: unfit.unfit }, unfit.unfit)
  }

  /** The answer ended as a whole one does, before the blob's size: tried again, for a proxy may have cut it; believed the second time. */
  #endedShort(host: Host): Result<Transfer> {
    if (this.#endedAt === this.#offset) return this.#wrongSize(host, this.#offset)
    this.#endedAt = this.#offset
    this.#ranges.areWrong(host)
    const result = `it ended after ${this.#offset} of ${this.#wish.blob.size} bytes`
    return { trouble: { kind: 'server-error', result, retryAfterMs: undefined } }
  }

  #wrongSize(host: Host, got: number): Result<Transfer> {
    const { digest, size } = this.#wish.blob
    return failed({ kind: 'size-mismatch', digest, want: size, got, from: host.name }, `it has ${got} bytes of ${size}`)
  }
}

const failed = (failure: Failure, result: string): Result<Transfer> => ({ trouble: { kind: 'failed', result, failure } })

const rangeOf = ({ from, end }: Span, size: number): string => `bytes=${from}-${end === size ? '' : end - 1}`
