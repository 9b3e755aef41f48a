/** Requests to the API server: with the token as it is now, tried again where that makes sense. */
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { z } from 'zod'
import type { InCluster } from './in-cluster.ts'
import { type Api, type ApiRequest, Refused } from './kube.ts'

export type ApiOptions = InCluster & {
  readonly userAgent: string
  /** A second by default; doubled each time. */
  readonly firstWaitMs?: number
}

const MAX_TRIES = 6
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 30_000
const TIMEOUT_MS = 30_000
/** A node's object names its images, addresses, volumes. */
const MAX_ANSWER = 8 * 1024 * 1024

/** metav1.Status */
const statusSchema = z.object({ message: z.string().default(''), reason: z.string().default('') })

type Outcome =
  | { readonly value: unknown }
  | { readonly trouble: Refused; readonly afterMs: number | undefined; readonly again: boolean }

export class ClusterApi implements Api, AsyncDisposable {
  readonly #options: ApiOptions
  #agent: { readonly ca: string; readonly agent: Agent } | undefined

  constructor(options: ApiOptions) {
    this.#options = options
  }

  async send(asked: ApiRequest, { signal }: { readonly signal: AbortSignal }): Promise<unknown> {
    for (let tries = 1; ; tries++) {
      const outcome = await this.#once(asked, signal)
      if ('value' in outcome) return outcome.value
      signal.throwIfAborted()
      if (!outcome.again || tries >= MAX_TRIES) throw outcome.trouble
      await delay(this.#waitMs(tries, outcome.afterMs), undefined, { signal, ref: false })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.agent.destroy()
  }

  /** Never sooner than asked, and not all nodes at once. */
  #waitMs(tries: number, afterMs: number | undefined): number {
    const { firstWaitMs = FIRST_WAIT_MS } = this.#options
    const own = firstWaitMs * 2 ** (tries - 1) * (0.5 + Math.random() / 2)
    return Math.min(Math.max(own, afterMs ?? 0), LONGEST_WAIT_MS)
  }

  async #once(asked: ApiRequest, signal: AbortSignal): Promise<Outcome> {
    const { origin, tokenFile, userAgent } = this.#options
    try {
      // kubelet puts a new one in its place before the old one ends.
      const token = (await readFile(tokenFile, 'utf8')).trim()
      const { statusCode, headers, body } = await request(`${origin}${asked.path}`, {
        dispatcher: await this.#agentNow(),
        method: asked.method,
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          'content-type': asked.method === 'PATCH' ? asked.type : 'application/json',
          'user-agent': userAgent,
        },
        body: JSON.stringify(asked.body),
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      const text = await textOf(body)
      if (statusCode < 300) return { value: jsonIn(text) }
      return refusal(asked, statusCode, text, headers['retry-after'])
    } catch (error) {
      const trouble = new Refused(`the API server at ${origin} cannot be asked: ${codeOf(error)}`)
      return { trouble, afterMs: undefined, again: true }
    }
  }

  async #agentNow(): Promise<Agent> {
    const ca = await readFile(this.#options.caFile, 'utf8')
    if (this.#agent?.ca !== ca) {
      void this.#agent?.agent.close().catch(() => undefined)
      this.#agent = { ca, agent: new Agent({ allowH2: false, connections: 1, pipelining: 1, connect: { ca } }) }
    }
    return this.#agent.agent
  }
}

/** 409: somebody else has written meanwhile. 401: the token may have rotated just now. 410 and 404 are for the caller to understand. */
const AGAIN: ReadonlySet<number> = new Set([401, 409, 429, 500, 502, 503, 504])

function refusal({ method, path }: ApiRequest, status: number, text: string, retryAfter: string | string[] | undefined): Outcome {
  const { message, reason } = statusSchema.safeParse(jsonIn(text)).data ?? { message: '', reason: '' }
  const what = [`${status}`, reason, message.slice(0, 500)].filter((part) => part !== '').join(' ')
  const afterMs = typeof retryAfter === 'string' && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) * 1000 : undefined
  // What exists already will exist the next time, too.
  const again = AGAIN.has(status) && reason !== 'AlreadyExists'
  return { trouble: new Refused(`${method} ${path} was answered ${what}`, status), afterMs, again }
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of body) {
    size += piece.length
    if (size > MAX_ANSWER) throw new RangeError('its answer is too long')
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** What undici says at length may name the token; a code does not. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
