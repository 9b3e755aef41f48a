/**
 * The rest of a blob over several connections to one host: each brings one segment after the other by Range, and the segments are passed
 * on in order. What is early waits in memory, of which all layers together have a bounded amount. Where that brings no more bytes a second,
 * one connection goes on alone.
 */

import { unlessAborted } from '../task/flights.ts'
import type { Permit } from '../task/limiter.ts'
import type { Trouble } from './errors.ts'
import type { Consumer, Head } from './exchange.ts'
import { TRIAL_MS } from './gauge.ts'
import type { HostHealth } from './health.ts'
import type { Host } from './hosts.ts'
import type { Attempt } from './patience.ts'
import { placementOf, type Span, type Validators } from './range.ts'
import type { Question, Requests } from './request.ts'
import { retryDelay, WORTH_A_TRY, wait } from './retry.ts'
import { SEGMENT, type Throttle } from './throttle.ts'

/** What transfers share. */
export type Means = { readonly requests: Requests; readonly throttle: Throttle; readonly health: HostHealth }

export type SharedWork = {
  readonly host: Host
  readonly question: Question
  readonly attempt: Attempt
  readonly validators: Validators
  readonly span: Span
  /** Bytes a second over one connection. */
  readonly rate: number
  /** Takes the blob's next bytes. */
  readonly deliver: (chunk: Buffer) => Promise<void> | undefined
}

/** Why it ended before the end of the span: one host would deliver no more of it, or its ranges are wrong. */
export type Ending = { readonly trouble?: Trouble; readonly rangeless?: true }

type Segment = Span & { readonly buffer: Buffer; readonly room: Permit; received: number; passed: number }

/** More connections must bring at least so many times the bytes. */
const GAIN = 1.25
/** New connections are given so long to come up to speed. */
const SETTLE_MS = 500
const PIECE = 256 * 1024

export class Shares {
  readonly #means: Means
  readonly #work: SharedWork
  readonly #segments: Segment[] = []
  readonly #hired: Promise<void>[] = []
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  #next: number
  #received = 0
  #blockedMs = 0
  /** No further segment is begun. */
  #isClosing = false
  #ending: Ending = {}
  #error: unknown
  #changed = Promise.withResolvers<void>()

  constructor(means: Means, work: SharedWork) {
    this.#means = means
    this.#work = work
    this.#next = work.span.from
    this.#signal = AbortSignal.any([work.attempt.signal, this.#stop.signal])
  }

  /** Throws what `deliver` throws, and `cancelled`. */
  async run(): Promise<Ending> {
    const growing = this.#grow()
    try {
      await this.#pass()
      return this.#ending
    } finally {
      this.#isClosing = true
      this.#stop.abort()
      await Promise.allSettled([growing, ...this.#hired])
      for (const { room } of this.#segments) room[Symbol.dispose]()
    }
  }

  /** Hands what has come on in order. */
  async #pass(): Promise<void> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error
      const front = this.#segments[0]
      if (front !== undefined && front.passed < front.received) await this.#hand(front)
      else if (front !== undefined && front.passed === lengthOf(front)) this.#drop(front)
      else if (this.#stop.signal.aborted || (front === undefined && this.#hasNoMore())) return
      else await unlessAborted(this.#changed.promise, this.#work.attempt.signal)
    }
  }

  async #hand(front: Segment): Promise<void> {
    const piece = front.buffer.subarray(front.passed, Math.min(front.received, front.passed + PIECE))
    front.passed += piece.length
    const full = this.#work.deliver(piece)
    if (full === undefined) return
    const since = performance.now()
    await unlessAborted(full, this.#work.attempt.signal)
    this.#blockedMs += performance.now() - since
  }

  #drop(front: Segment): void {
    this.#segments.shift()
    front.room[Symbol.dispose]()
    this.#tell()
  }

  #hasNoMore(): boolean {
    return this.#isClosing || this.#next === this.#work.span.end
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  /** As many as there are places, at once: whether two would do is not worth the time of finding out. */
  async #grow(): Promise<void> {
    const { throttle, health } = this.#means
    // The transfer's own place is the first one's.
    this.#hire({ [Symbol.dispose]: () => {} })
    this.#hireUpTo(throttle.maxConnectionsPerLayer)
    if (this.#hired.length === 1) return
    const measured = await this.#measure()
    if (measured === undefined || measured.isBlocked || measured.rate >= this.#work.rate * GAIN) return
    health.rangesWereUseless(this.#work.host)
    this.#isClosing = true
    this.#tell()
  }

  /** Bytes a second of all connections, and whether the sink was what they waited for; undefined where it is over. */
  async #measure(): Promise<{ readonly rate: number; readonly isBlocked: boolean } | undefined> {
    try {
      await wait(SETTLE_MS, this.#signal)
      const [bytes, blockedMs, since] = [this.#received, this.#blockedMs, performance.now()]
      await wait(TRIAL_MS, this.#signal)
      const ms = performance.now() - since
      return { rate: ((this.#received - bytes) / ms) * 1000, isBlocked: this.#blockedMs - blockedMs > ms / 10 }
    } catch (error) {
      if (this.#signal.aborted) return undefined
      throw error
    }
  }

  #hireUpTo(count: number): void {
    while (this.#hired.length < count) {
      const place = this.#means.throttle.tryAdmit(this.#work.host)
      if (place === undefined) return
      this.#hire(place)
    }
  }

  #hire(place: Permit): void {
    const work = async (): Promise<void> => {
      using _place = place
      try {
        await this.#bringSegments()
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#error = error
      }
      this.#tell()
    }
    this.#hired.push(work())
  }

  async #bringSegments(): Promise<void> {
    for (let segment = await this.#claim(); segment !== undefined; segment = await this.#claim()) {
      const ending = await this.#bring(segment)
      if (ending === undefined) continue
      // What came before it in the blob is passed on; what came behind it is not needed any more.
      this.#ending = ending
      this.#stop.abort()
      return
    }
  }

  async #claim(): Promise<Segment | undefined> {
    // Nobody runs further ahead than one segment each, and one that waits to be passed on.
    while (this.#segments.length > this.#hired.length && !this.#hasNoMore())
      await unlessAborted(this.#changed.promise, this.#signal)
    if (this.#hasNoMore()) return undefined
    const room = await this.#means.throttle.segments.acquire({ signal: this.#signal })
    if (this.#hasNoMore()) {
      room[Symbol.dispose]()
      return undefined
    }
    const from = this.#next
    const end = Math.min(from + SEGMENT, this.#work.span.end)
    const segment = { from, end, buffer: Buffer.allocUnsafeSlow(end - from), room, received: 0, passed: 0 }
    this.#next = end
    this.#segments.push(segment)
    return segment
  }

  /** One segment, in as many tries as make sense; undefined once it is here. */
  async #bring(segment: Segment): Promise<Ending | undefined> {
    for (let tries = 1; ; tries++) {
      const before = segment.received
      const ending = await this.#ask(segment)
      if (segment.received === lengthOf(segment)) return undefined
      const trouble = ending.trouble ?? endedShort(segment)
      if (ending.rangeless === true) return { ...ending, trouble }
      // As over one connection: two tries in a row that bring less are the last ones.
      if (segment.received - before >= WORTH_A_TRY) tries = 0
      const delayMs = retryDelay(trouble, Math.max(tries, 1), { last: false, begun: true })
      if (delayMs === undefined) return { trouble }
      await wait(delayMs, this.#signal)
    }
  }

  async #ask(segment: Segment): Promise<Ending> {
    const { host, question, attempt, validators, span } = this.#work
    const asked: Span = { from: segment.from + segment.received, end: segment.end }
    let unfit: string | undefined
    const receive = (head: Head): Consumer => {
      const placement = placementOf(head, span.end, asked)
      if ('unfit' in placement) unfit = placement.unfit
      else if (placement.from !== asked.from || head.status !== 206) unfit = 'it does not answer a range with that range'
      else if (!validators.agrees(head)) unfit = 'its ETag is another than before'
      else return (chunk) => this.#take(segment, chunk)
      return () => 'stop'
    }
    const headers = { range: `bytes=${asked.from}-${asked.end - 1}` }
    const answer = await this.#means.requests.send(host, { ...question, headers }, receive, { ...attempt, signal: this.#signal })
    if (unfit !== undefined) return { trouble: { kind: 'server-error', result: unfit, retryAfterMs: 0 }, rangeless: true }
    return 'trouble' in answer ? { trouble: answer.trouble } : {}
  }

  #take(segment: Segment, chunk: Buffer): ReturnType<Consumer> {
    const taken = chunk.copy(segment.buffer, segment.received)
    segment.received += taken
    this.#received += taken
    this.#tell()
    // What is beyond the range that was asked for is not looked at.
    return taken < chunk.length ? 'stop' : undefined
  }
}

const lengthOf = ({ from, end }: Span): number => end - from

const endedShort = (segment: Segment): Trouble => ({
  kind: 'server-error',
  result: `a range ended after ${segment.received} of ${lengthOf(segment)} bytes`,
  retryAfterMs: undefined,
})
