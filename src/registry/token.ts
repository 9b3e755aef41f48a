/** Gets and keeps bearer tokens (distribution, "Token Authentication Specification" and its OAuth2 variant). */
import { createHmac, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { jsonOrUndefined } from '../oci/json.ts'
import type { Agents } from './agents.ts'
import type { Challenge } from './challenge.ts'
import { cancelledBy, clean, MAX_ERROR_BODY, parseErrorBody, type Result, type Trouble, unreachable } from './errors.ts'
import { collect } from './exchange.ts'
import { follow } from './follow.ts'
import { forbiddenTarget } from './guard.ts'
import type { Host } from './hosts.ts'
import { Pauses, pauseLeft } from './pauses.ts'
import type { Credentials } from './registry.ts'
import { parseRetryAfter } from './retry.ts'
import { type Secrets, secretsOf } from './secrets.ts'

export type BearerChallenge = Extract<Challenge, { scheme: 'bearer' }>

/** For whom a token is wanted. `origin` is the registry's as it was reached. */
export type TokenRequest = {
  readonly host: Host
  readonly origin: URL
  readonly sentBy?: URL
  readonly repository: string
  readonly credentials: Credentials
  readonly challenge: BearerChallenge
}

const MAX_TOKEN_BODY = 64 * 1024
const MAX_TOKENS = 2_000
/** A token request is shared by all who wait for the token, so it has a bound of its own and no caller's signal. */
const TOKEN_TIMEOUT_MS = 30_000
/** What the specification says where the answer does not. */
const DEFAULT_LIFETIME_S = 60
const CLIENT_ID = 'windlass'

/** Servers leave out what they have not, or send it empty, or null; of a lifetime that is no number nothing is known. */
const answerSchema = z.object({
  token: z.string().nullish(),
  access_token: z.string().nullish(),
  expires_in: z.coerce.number().catch(0),
})

type Kept = { readonly result: Promise<Result<string>>; staleAt: number }

export class Tokens {
  readonly #agents: Agents
  readonly #userAgent: string
  readonly #closing: AbortSignal
  readonly #kept = new Map<string, Kept>()
  /** Of token servers, each for one login: whom one limits is no matter of the others. */
  readonly #pauses = new Pauses(() => performance.now())
  /** Credentials are part of a key; a keyed hash, so that a heap dump's keys cannot be guessed at. */
  readonly #salt = randomBytes(32)

  constructor(agents: Agents, userAgent: string, closing: AbortSignal) {
    this.#agents = agents
    this.#userAgent = userAgent
    this.#closing = closing
  }

  /** Names these credentials without telling them. */
  fingerprint(credentials: Credentials): string {
    return createHmac('sha256', this.#salt).update(JSON.stringify(credentials)).digest('base64')
  }

  /** A token that is still good for a while; asked for once however many want it. Throws `cancelled` alone. */
  async get(request: TokenRequest, signal: AbortSignal): Promise<Result<string>> {
    const key = this.#keyOf(request)
    const known = this.#kept.get(key)
    if (known !== undefined && known.staleAt > performance.now()) return raceAbort(known.result, signal)
    const setStaleAt = (ms: number): void => {
      kept.staleAt = ms
    }
    const kept: Kept = { result: this.#fetch(request, setStaleAt), staleAt: Number.POSITIVE_INFINITY }
    this.#keep(key, kept)
    // A failure is not kept: the next one asks again.
    const drop = () => this.#kept.get(key) === kept && this.#kept.delete(key)
    kept.result.then((result) => 'trouble' in result && drop(), drop)
    return raceAbort(kept.result, signal)
  }

  /** Forgets the token of this request if it is still `token`: the registry has refused it. */
  async forget(request: TokenRequest, token: string): Promise<void> {
    const key = this.#keyOf(request)
    const kept = this.#kept.get(key)
    const result = await kept?.result
    if (result !== undefined && 'value' in result && result.value === token && this.#kept.get(key) === kept)
      this.#kept.delete(key)
  }

  #keyOf({ origin, credentials, challenge, repository }: TokenRequest): string {
    const { realm, service } = challenge
    return JSON.stringify([origin.origin, realm, service, scopesOf(challenge, repository), this.fingerprint(credentials)])
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_TOKENS) break
      this.#kept.delete(oldest)
    }
  }

  async #fetch(request: TokenRequest, staleAt: (ms: number) => void): Promise<Result<string>> {
    const { challenge, origin, host } = request
    if (!URL.canParse(challenge.realm)) return unfit(request, `its token realm is not a URL: ${challenge.realm.slice(0, 200)}`)
    const realm = new URL(challenge.realm)
    const forbidden = forbiddenTarget(realm, origin)
    if (forbidden !== undefined) return unfit(request, `its token realm is refused: ${forbidden}`)
    const visitor = JSON.stringify([challenge.realm, this.fingerprint(request.credentials)])
    const pause = this.#pauses.enter(visitor)
    if (pause !== undefined) {
      const saidBy = `token server ${realm.host}`
      return { trouble: { kind: pause.kind, result: `${saidBy}: ${pauseLeft(pause)}`, retryAfterMs: pause.leftMs, saidBy } }
    }
    const signal = AbortSignal.any([this.#closing, AbortSignal.timeout(TOKEN_TIMEOUT_MS)])
    const body: Buffer[] = []
    const asked = { host, agents: this.#agents, registry: request.sentBy ?? origin, signal }
    const reply = await follow(asked, wireRequest(realm, request, this.#userAgent), () =>
      collect(body, MAX_TOKEN_BODY + 1),
    ).catch((error: unknown) => {
      if (this.#closing.aborted || !signal.aborted) throw error
      return { kind: 'broken' as const, error: new Error('timeout while waiting for a token'), head: undefined }
    })
    switch (reply.kind) {
      case 'success':
        this.#pauses.answered(visitor)
        return readToken(Buffer.concat(body), request, staleAt)
      case 'refusal': {
        const trouble = refusedToken(reply.head.status, reply.head.headers['retry-after'], reply.body, realm, request)
        if (trouble.kind === 'refused') this.#pauses.answered(visitor)
        else if (trouble.retryAfterMs !== undefined) this.#pauses.begin(visitor, trouble.retryAfterMs, trouble.kind)
        return { trouble }
      }
      case 'forbidden':
        return unfit(request, `its token realm redirects, and that is refused: ${reply.reason}`)
      case 'broken': {
        const trouble = unreachable(reply.error, secretsFor(request))
        return { trouble: { ...trouble, result: `token server ${realm.host}: ${trouble.result}` } }
      }
    }
  }
}

/** The challenged scope first: some servers read one only. */
const scopesOf = (challenge: BearerChallenge, repository: string): readonly string[] =>
  challenge.scopes.length === 0 ? [`repository:${repository}:pull`] : challenge.scopes

function wireRequest(realm: URL, { challenge, credentials, repository, host, origin }: TokenRequest, userAgent: string) {
  // The registry names the realm: headers configured for the registry, keys perhaps, are not for wherever it points.
  const configured = realm.origin === origin.origin ? host.headers : {}
  const headers = { 'user-agent': userAgent, accept: 'application/json', 'accept-encoding': 'identity', ...configured }
  const scopes = scopesOf(challenge, repository)
  const service = challenge.service === undefined ? {} : { service: challenge.service }
  if (credentials.kind === 'identity-token') {
    const form = {
      grant_type: 'refresh_token',
      refresh_token: credentials.token,
      client_id: CLIENT_ID,
      scope: scopes.join(' '),
      ...service,
    }
    const body = new URLSearchParams(form).toString()
    return {
      method: 'POST' as const,
      url: realm,
      headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      body,
    }
  }
  const url = new URL(realm)
  for (const [name, value] of Object.entries(service)) url.searchParams.set(name, value)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  url.searchParams.set('client_id', CLIENT_ID)
  if (credentials.kind !== 'basic') return { method: 'GET' as const, url, headers }
  url.searchParams.set('account', credentials.username)
  return { method: 'GET' as const, url, headers: { ...headers, authorization: basicAuthorization(credentials) } }
}

export const basicAuthorization = ({ username, password }: Extract<Credentials, { kind: 'basic' }>): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

/** Who logs in, for messages. */
export function userOf(credentials: Credentials): string | undefined {
  if (credentials.kind === 'basic') return credentials.username
  return credentials.kind === 'anonymous' ? undefined : `(${credentials.kind.replace('-', ' ')})`
}

function readToken(body: Buffer, request: TokenRequest, staleAt: (ms: number) => void): Result<string> {
  if (body.length > MAX_TOKEN_BODY) return unfit(request, `its token answer is larger than ${MAX_TOKEN_BODY} bytes`)
  const parsed = answerSchema.safeParse(jsonOrUndefined(body.toString('utf8')))
  const token = parsed.data?.token || parsed.data?.access_token || undefined
  if (token === undefined || /[^\x21-\x7e]/.test(token)) return unfit(request, 'its token answer holds no token')
  // Counted from now, for clocks differ; renewed a little before the end, for requests take time.
  const seconds = parsed.data?.expires_in ?? 0
  const lifetimeMs = (seconds > 0 ? seconds : DEFAULT_LIFETIME_S) * 1000
  staleAt(performance.now() + lifetimeMs - Math.min(10_000, lifetimeMs / 10))
  return { value: token }
}

const secretsFor = ({ credentials, host }: TokenRequest): Secrets => secretsOf(credentials, host.headers)

function unfit(request: TokenRequest, why: string): Result<never> {
  const reason = clean(why, secretsFor(request))
  return {
    trouble: {
      kind: 'failed',
      result: reason,
      failure: { kind: 'malformed', what: 'authentication challenge', from: request.host.name, reason },
    },
  }
}

function refusedToken(
  status: number,
  retryAfter: string | undefined,
  body: Buffer,
  realm: URL,
  request: TokenRequest,
): Extract<Trouble, { kind: 'rate-limited' | 'server-error' | 'refused' }> {
  const { text } = parseErrorBody(body.subarray(0, MAX_ERROR_BODY), secretsFor(request))
  const saidBy = `token server ${realm.host}`
  const result = `${saidBy}: ${status}${text === '' ? '' : ` ${text}`}`
  const kind = status === 429 ? 'rate-limited' : status >= 500 ? 'server-error' : 'refused'
  if (kind !== 'refused') return { kind, result, retryAfterMs: parseRetryAfter(retryAfter), saidBy }
  return { kind: 'refused', as: 'unauthorized', result, user: userOf(request.credentials) }
}

/** Waits for shared work; leaves it to the others when the signal aborts. */
async function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw cancelledBy(signal)
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(cancelledBy(signal))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
