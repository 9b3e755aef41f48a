/**
 * One HTTP request and its answer, chunk by chunk. The hot path of a pull runs through `Receiver`: no promise, copy or queue for a
 * chunk that the consumer takes at once; where it is full, the socket is paused until it can go on.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Sender } from './agents.ts'
import { cancelledBy } from './errors.ts'
import { type Fields, fieldsOf } from './fields.ts'
import { Pace, type PaceLimits } from './pace.ts'

export type WireRequest = {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string
}

/** `origin` is of whom gave it, which after a redirect is another than who was asked. */
export type Head = { readonly status: number; readonly headers: Fields; readonly origin: string }

/** Takes one chunk. A promise: full, go on once it resolves. `stop`: enough, the rest is not wanted. What it throws ends the exchange. */
export type Consumer = (chunk: Buffer) => Promise<void> | 'stop' | undefined

export type Outcome =
  | { readonly kind: 'complete'; readonly head: Head }
  /** The connection failed, or timed out, before the answer's end; `head` is there if it came. */
  | { readonly kind: 'broken'; readonly head: Head | undefined; readonly error: Error }

/**
 * Sends `request`; `receive` sees the head and says who takes the body. Throws what the consumer throws, unchanged, and `cancelled`
 * when `signal` aborts; both free the connection at once. Everything else is an outcome.
 */
export async function exchange(
  dispatcher: Sender,
  request: WireRequest,
  receive: (head: Head) => Consumer,
  signal: AbortSignal,
  limits: PaceLimits = {},
): Promise<Outcome> {
  if (signal.aborted) throw cancelledBy(signal)
  using pace = new Pace(limits, (error) => receiver.give(() => ({ kind: 'broken', head: receiver.head, error })))
  const receiver = new Receiver(request.url.origin, receive, pace)
  const onAbort = () => receiver.give(() => Promise.reject(cancelledBy(signal)))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const { url, method, headers, body } = request
    const fields = Object.entries(headers).flatMap(([name, value]) => [value].flat().flatMap((one) => [name, one]))
    dispatcher.dispatch(
      { origin: url.origin, path: url.pathname + url.search, method, headers: fields, body: body ?? null },
      receiver,
    )
    return await receiver.outcome
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

class Receiver implements Dispatcher.DispatchHandler {
  readonly outcome: Promise<Outcome>
  readonly #settle: (outcome: Outcome | Promise<Outcome>) => void
  readonly #origin: string
  readonly #receive: (head: Head) => Consumer
  readonly #pace: Pace
  #controller: Dispatcher.DispatchController | undefined
  #head: Head | undefined
  #consume: Consumer | undefined
  #settled = false
  /** The consumer is full; chunks that come nevertheless (one socket buffer at most) wait in `#queue`. */
  #blocked = false
  readonly #queue: Buffer[] = []
  /** How the answer ended while the consumer was full. */
  #ending: (() => Outcome) | undefined

  constructor(origin: string, receive: (head: Head) => Consumer, pace: Pace) {
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    this.outcome = promise
    this.#settle = resolve
    this.#origin = origin
    this.#receive = receive
    this.#pace = pace
  }

  get head(): Head | undefined {
    return this.#head
  }

  /** Ends the exchange with this outcome; a connection still in use is cut. */
  give(outcome: () => Outcome | Promise<Outcome>): void {
    if (this.#settled) return
    this.#settled = true
    this.#queue.length = 0
    this.#settle(outcome())
    this.#controller?.abort(new Error('the exchange is over'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#pace.run()
    // Given up while it waited for a connection.
    if (this.#settled) controller.abort(new Error('the exchange is over'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.#settled) return
    this.#pace.heard()
    const fields = fieldsOf(headers)
    if (fields instanceof Error) {
      this.give(() => ({ kind: 'broken', head: undefined, error: fields }))
      return
    }
    this.#head = { status, headers: fields, origin: this.#origin }
    try {
      this.#consume = this.#receive(this.#head)
    } catch (error) {
      this.give(() => Promise.reject(error))
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    this.#pace.took(chunk.length)
    if (this.#blocked) this.#queue.push(Buffer.from(chunk))
    else this.#take(controller, chunk)
  }

  onResponseEnd(): void {
    const head = this.#head
    if (head === undefined) return
    // The connection is free already: nothing is cut.
    this.#controller = undefined
    this.#end(() => ({ kind: 'complete', head }))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#controller = undefined
    this.#end(() => ({ kind: 'broken', head: this.#head, error }))
  }

  #end(outcome: () => Outcome): void {
    if (this.#blocked) this.#ending = outcome
    else this.give(outcome)
  }

  #take(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    let full: ReturnType<Consumer>
    try {
      full = this.#consume?.(chunk)
    } catch (error) {
      this.give(() => Promise.reject(error))
      return
    }
    if (full === 'stop') this.#stop()
    else if (full !== undefined) this.#pause(controller, full)
  }

  #stop(): void {
    const head = this.#head
    if (head !== undefined) this.give(() => ({ kind: 'complete', head }))
  }

  #pause(controller: Dispatcher.DispatchController, full: Promise<void>): void {
    this.#blocked = true
    this.#pace.hold()
    controller.pause()
    full.then(
      () => this.#goOn(controller),
      (error: unknown) => this.give(() => Promise.reject(error)),
    )
  }

  #goOn(controller: Dispatcher.DispatchController): void {
    this.#blocked = false
    while (!this.#blocked && !this.#settled) {
      const chunk = this.#queue.shift()
      if (chunk === undefined) break
      this.#take(controller, chunk)
    }
    if (this.#blocked || this.#settled) return
    if (this.#ending !== undefined) this.give(this.#ending)
    else {
      this.#pace.run()
      controller.resume()
    }
  }
}

/** A consumer that keeps up to `limit` bytes, as the one piece in `into`, and stops there. */
export function collect(into: Buffer[], limit: number): Consumer {
  // Grown by doubling: an answer may come in chunks of one byte, each of which must cost no more than the first.
  let held: Buffer = Buffer.alloc(0)
  let length = 0
  return (chunk) => {
    const part = chunk.subarray(0, limit - length)
    // Copied: a small answer must not keep the whole socket buffer it came in.
    if (length + part.length > held.length) held = grown(held, Math.min(limit, 2 * (length + part.length)))
    part.copy(held, length)
    length += part.length
    into[0] = held.subarray(0, length)
    return chunk.length > part.length ? 'stop' : undefined
  }
}

function grown(bytes: Buffer, size: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(size)
  bytes.copy(larger)
  return larger
}
