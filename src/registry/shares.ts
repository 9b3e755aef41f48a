/**
 * The rest of a blob over several connections to one host: each brings one segment after the other by Range, and the segments are passed
 * on in order. What is early waits in memory, of which all layers together have a bounded amount. Where that brings no more bytes a second,
 * one connection goes on alone.
 */

import { unlessAborted } from '../task/flights.ts'
import type { Permit } from '../task/limiter.ts'
import { TRIAL_MS } from './gauge.ts'
import type { HostHealth } from './health.ts'
import type { Host } from './hosts.ts'
import { type Attempt, PATIENCE_MS } from './patience.ts'
import type { Span, Validators } from './range.ts'
import type { Question, Requests } from './request.ts'
import { wait } from './retry.ts'
import { type Ending, Segment, type Source } from './segment.ts'
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

/** More connections must bring at least so many times the bytes. */
const GAIN = 1.25
/** New connections are given so long to come up to speed. */
const SETTLE_MS = 500

export class Shares {
  readonly #means: Means
  readonly #work: SharedWork
  readonly #source: Source
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
  /** A segment came whole: this host has ranges that are of use. */
  #isFruitful = false
  #error: unknown
  #changed = Promise.withResolvers<void>()

  constructor(means: Means, work: SharedWork) {
    this.#means = means
    this.#work = work
    this.#next = work.span.from
    this.#signal = AbortSignal.any([work.attempt.signal, this.#stop.signal])
    const { host, question, attempt, validators, span } = work
    const { requests } = means
    // No longer than where there is another host to ask: one connection is the other way here.
    const pace = { ...attempt.pace, silentMs: PATIENCE_MS }
    this.#source = { requests, host, question, attempt: { ...attempt, pace, signal: this.#signal }, validators, size: span.end }
  }

  /** Why it ended, where that was before the end of the span. Throws what `deliver` throws, and `cancelled`. */
  async run(): Promise<Ending> {
    const growing = this.#grow()
    try {
      await this.#pass()
      return this.#ending
    } finally {
      this.#isClosing = true
      this.#stop.abort()
      await Promise.allSettled([growing, ...this.#hired])
      for (const segment of this.#segments) segment[Symbol.dispose]()
    }
  }

  /** Hands what has come on in order. */
  async #pass(): Promise<void> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error
      const front = this.#segments[0]
      const piece = front?.next()
      if (piece !== undefined) await this.#hand(piece)
      else if (front?.isPassed === true) this.#drop(front)
      else if (this.#stop.signal.aborted || (front === undefined && this.#hasNoMore())) return
      else await unlessAborted(this.#changed.promise, this.#work.attempt.signal)
    }
  }

  async #hand(piece: Buffer): Promise<void> {
    const full = this.#work.deliver(piece)
    if (full === undefined) return
    const since = performance.now()
    await unlessAborted(full, this.#work.attempt.signal)
    this.#blockedMs += performance.now() - since
  }

  #drop(front: Segment): void {
    this.#segments.shift()
    front[Symbol.dispose]()
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
      const ending = await segment.bring(this.#source, (bytes) => this.#came(bytes))
      if (ending === undefined) {
        this.#isFruitful = true
        continue
      }
      // What came before it in the blob is passed on; what came behind it is not needed any more.
      this.#ending = this.#isFruitful ? ending : { ...ending, isFruitless: true }
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
    const segment = new Segment({ from, end }, room)
    this.#next = end
    this.#segments.push(segment)
    return segment
  }

  #came(bytes: number): void {
    this.#received += bytes
    this.#tell()
  }
}
