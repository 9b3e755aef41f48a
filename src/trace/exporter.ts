/**
 * Sends spans, a batch at a time, behind everything else. The queue is bounded: what does not fit, or is refused, is dropped and counted.
 * What may be sent again is (OTLP/HTTP: 429, 502, 503, 504, and no answer at all), while the queue holds the rest.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { z } from 'zod'
import type { TraceSettings } from './environment.ts'
import { type EndedSpan, type Resource, traceRequest } from './otlp.ts'

export type ExporterOptions = {
  readonly settings: TraceSettings
  readonly resource: Resource
  /** So many spans arrived, or are lost; must not throw. */
  readonly onSpans: (outcome: 'sent' | 'dropped', count: number) => void
  /** Called for each request that failed; must not throw. */
  readonly onError: (error: Error) => void
  /** By default five seconds. */
  readonly everyMs?: number
}

const MAX_QUEUED = 2_048
const BATCH = 512
const EVERY_MS = 5_000
const MAX_TRIES = 5
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 30_000
/** What the end of the daemon waits for it. */
const LAST_MS = 2_000
const MAX_ANSWER = 64 * 1024
const AGAIN: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** ExportTraceServiceResponse: a collector may take a part of a batch. */
const answerSchema = z.object({
  partialSuccess: z.object({ rejectedSpans: z.coerce.number().int().nonnegative().default(0) }).optional(),
})

type Sent = { readonly kind: 'sent'; readonly rejected: number } | { readonly kind: 'refused' } | Again
type Again = { readonly kind: 'again'; readonly afterMs: number | undefined }

export class Exporter implements AsyncDisposable {
  readonly #options: ExporterOptions
  readonly #agent: Agent
  readonly #closing = new AbortController()
  readonly #queue: EndedSpan[] = []
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined

  /** Throws the system's error for a certificate that cannot be read. */
  constructor(options: ExporterOptions) {
    this.#options = options
    const { certificate } = options.settings
    const connect = certificate === undefined ? {} : { connect: { ca: readFileSync(certificate) } }
    this.#agent = new Agent({ allowH2: false, connections: 1, pipelining: 1, ...connect })
  }

  add(span: EndedSpan): void {
    if (this.#closing.signal.aborted || this.#queue.length >= MAX_QUEUED) {
      this.#options.onSpans('dropped', 1)
      return
    }
    this.#queue.push(span)
    if (this.#queue.length >= BATCH) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), this.#options.everyMs ?? EVERY_MS).unref()
  }

  /** What is left is sent once, as far as a moment is enough for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    this.#closing.abort()
    await this.#sending
    const patience = AbortSignal.timeout(LAST_MS)
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, BATCH)
      this.#settle(batch, patience.aborted ? { kind: 'refused' } : await this.#post(batch, patience))
    }
    await this.#agent.destroy()
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
      // Some may have come while the last batch was on its way.
      if (this.#queue.length > 0 && !this.#closing.signal.aborted)
        this.#timer ??= setTimeout(() => this.#send(), this.#options.everyMs ?? EVERY_MS).unref()
    })
  }

  async #sendAll(): Promise<void> {
    while (this.#queue.length > 0 && !this.#closing.signal.aborted) {
      const batch = this.#queue.splice(0, BATCH)
      if (!(await this.#deliver(batch))) this.#queue.unshift(...batch)
    }
  }

  /** False where the end of the daemon came first. */
  async #deliver(batch: readonly EndedSpan[]): Promise<boolean> {
    const { signal } = this.#closing
    for (let tries = 1; ; tries++) {
      const result = await this.#post(batch, signal)
      if (signal.aborted && result.kind === 'again') return false
      if (result.kind !== 'again' || tries >= MAX_TRIES) {
        this.#settle(batch, result)
        return true
      }
      const wait = Math.min(result.afterMs ?? FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS)
      await delay(wait, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return false
    }
  }

  #settle(batch: readonly EndedSpan[], result: Sent): void {
    const lost = result.kind === 'sent' ? Math.min(result.rejected, batch.length) : batch.length
    if (lost > 0) this.#options.onSpans('dropped', lost)
    if (lost < batch.length) this.#options.onSpans('sent', batch.length - lost)
  }

  async #post(batch: readonly EndedSpan[], end: AbortSignal): Promise<Sent> {
    const { settings, resource, onError } = this.#options
    const { url, headers, timeoutMs } = settings
    const failed = (error: Error, result: Sent): Sent => {
      // What the end of the daemon has cut is sent once more.
      if (end !== this.#closing.signal || !end.aborted) onError(error)
      return result
    }
    try {
      const {
        statusCode,
        headers: answered,
        body,
      } = await request(url, {
        dispatcher: this.#agent,
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: traceRequest(resource, batch),
        signal: AbortSignal.any([end, AbortSignal.timeout(timeoutMs)]),
      })
      const text = await textOf(body)
      if (statusCode < 300) return { kind: 'sent', rejected: rejectedIn(text) }
      const error = new Error(`the collector at ${url.host} answered ${statusCode}`)
      if (!AGAIN.has(statusCode)) return failed(error, { kind: 'refused' })
      return failed(error, { kind: 'again', afterMs: secondsIn(answered['retry-after']) })
    } catch (error) {
      // What undici says of a request may name its headers; of a connection it has a code.
      return failed(new Error(`the collector at ${url.host} cannot be reached: ${codeOf(error)}`), {
        kind: 'again',
        afterMs: undefined,
      })
    }
  }
}

/** No more of it than makes sense; the rest is read and forgotten. */
async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of body) {
    size += piece.length
    if (size <= MAX_ANSWER) pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

/** A 2xx is a 2xx, whatever its body: an empty one, protobuf. */
function rejectedIn(text: string): number {
  try {
    return answerSchema.safeParse(JSON.parse(text)).data?.partialSuccess?.rejectedSpans ?? 0
  } catch (error) {
    if (error instanceof SyntaxError) return 0
    throw error
  }
}

const secondsIn = (header: string | string[] | undefined): number | undefined =>
  typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
