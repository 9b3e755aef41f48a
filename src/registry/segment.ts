/**
 * One part of a blob that comes over several connections (shares.ts): asked for by Range, and in memory until what is before it in the blob
 * has been passed on.
 */
import type { Permit } from '../task/limiter.ts'
import type { Trouble } from './errors.ts'
import type { Consumer, Head } from './exchange.ts'
import type { Host } from './hosts.ts'
import type { Attempt } from './patience.ts'
import { placementOf, type Span, type Validators } from './range.ts'
import type { Question, Requests } from './request.ts'
import { pauseAfter, retryDelay, WORTH_A_TRY, wait } from './retry.ts'

/** Who is asked for a blob's segments, and how. `size` is the blob's. */
export type Source = {
  readonly requests: Requests
  readonly host: Host
  readonly question: Question
  readonly attempt: Attempt
  readonly validators: Validators
  readonly size: number
}

/** Why there is no more: one host would deliver no more of it, or its ranges are wrong. `isFruitless`: not one segment came whole. */
export type Ending = { readonly trouble?: Trouble; readonly rangeless?: true; readonly isFruitless?: true }

/** Handed on in pieces, so that a sink that is full is noticed. */
const PIECE = 256 * 1024

export class Segment implements Disposable {
  readonly #span: Span
  readonly #buffer: Buffer
  readonly #room: Permit
  #received = 0
  #passed = 0

  /** `room`: its place among those that are in memory. */
  constructor(span: Span, room: Permit) {
    this.#span = span
    this.#buffer = Buffer.allocUnsafeSlow(span.end - span.from)
    this.#room = room
  }

  get #isHere(): boolean {
    return this.#received === this.#buffer.length
  }

  /** Nothing of it is left to pass on. */
  get isPassed(): boolean {
    return this.#passed === this.#buffer.length
  }

  /** What is passed on next; undefined while no more of it has come. */
  next(): Buffer | undefined {
    if (this.#passed === this.#received) return undefined
    const piece = this.#buffer.subarray(this.#passed, Math.min(this.#received, this.#passed + PIECE))
    this.#passed += piece.length
    return piece
  }

  /** In as many tries as make sense; undefined once it is here. `came` is told of bytes. */
  async bring(source: Source, came: (bytes: number) => void): Promise<Ending | undefined> {
    for (let tries = 1; ; tries++) {
      const before = this.#received
      const ending = await this.#ask(source, came)
      if (this.#isHere) return undefined
      const trouble = ending.trouble ?? this.#endedShort()
      if (ending.rangeless === true) return { ...ending, trouble }
      if (this.#received - before >= WORTH_A_TRY) tries = 0
      // A pause is everybody's: the walk sits it out, and none of these connections asks meanwhile.
      if (pauseAfter(trouble, tries) !== undefined) return { trouble }
      // As often as where there is another host to ask: one connection is the other way here.
      const delayMs = retryDelay(trouble, tries, { last: false, begun: true })
      if (delayMs === undefined) return { trouble }
      await wait(delayMs, source.attempt.signal)
    }
  }

  [Symbol.dispose](): void {
    this.#room[Symbol.dispose]()
  }

  /** One try, for what is not here yet. */
  async #ask({ requests, host, question, attempt, validators, size }: Source, came: (bytes: number) => void): Promise<Ending> {
    const asked: Span = { from: this.#span.from + this.#received, end: this.#span.end }
    let unfit: string | undefined
    const receive = (head: Head): Consumer => {
      const placement = placementOf(head, size, asked)
      if ('unfit' in placement) unfit = placement.unfit
      else if (placement.from !== asked.from || head.status !== 206) unfit = 'it does not answer a range with that range'
      else if (!validators.agrees(head)) unfit = 'its ETag is another than before'
      else return (chunk) => this.#take(chunk, came)
      return () => 'stop'
    }
    const headers = { range: `bytes=${asked.from}-${asked.end - 1}` }
    const answer = await requests.send(host, { ...question, headers }, receive, attempt)
    if (unfit !== undefined) return { trouble: { kind: 'server-error', result: unfit, retryAfterMs: 0 }, rangeless: true }
    return 'trouble' in answer ? { trouble: answer.trouble } : {}
  }

  #take(chunk: Buffer, came: (bytes: number) => void): ReturnType<Consumer> {
    const taken = chunk.copy(this.#buffer, this.#received)
    this.#received += taken
    came(taken)
    // What is beyond the range that was asked for is not looked at.
    return taken < chunk.length ? 'stop' : undefined
  }

  #endedShort(): Trouble {
    const result = `a range ended after ${this.#received} of ${this.#buffer.length} bytes`
    return { kind: 'server-error', result, retryAfterMs: undefined }
  }
}
