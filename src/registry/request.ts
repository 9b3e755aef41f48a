/** A request to a host of a repository: finds out whether it speaks HTTPS, logs in where it must, and names what went wrong. */
import type { Agents } from './agents.ts'
import type { Authenticator, Party } from './authenticator.ts'
import { chooseChallenge } from './challenge.ts'
import { clean, type ErrorBody, parseErrorBody, type Result, type Trouble, unreachable } from './errors.ts'
import type { RegistryEvent } from './events.ts'
import type { Consumer, Head } from './exchange.ts'
import { follow, type Reply } from './follow.ts'
import type { Host, Scheme } from './hosts.ts'
import type { Logins } from './logins.ts'
import type { Attempt } from './patience.ts'
import { parseRetryAfter } from './retry.ts'
import { Schemes } from './schemes.ts'
import { secretsOf } from './secrets.ts'
import { userOf } from './token.ts'

/** What is asked of whichever host. `path` comes after `/v2/<repository>/`. */
export type Question = {
  readonly method: 'GET' | 'HEAD'
  readonly repository: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly logins: Logins
}

const MAX_TOKEN_REFRESHES = 2
/** Timeouts of the server's own, too early, and a range it cannot serve: asked for in another way. */
const WORTH_ANOTHER_TRY: ReadonlySet<number> = new Set([408, 416, 425])

export class Requests {
  readonly #agents: Agents
  readonly #authenticator: Authenticator
  readonly #userAgent: string
  readonly #log: (event: RegistryEvent) => void
  readonly #schemes: Schemes

  constructor(agents: Agents, authenticator: Authenticator, userAgent: string, log: (event: RegistryEvent) => void) {
    this.#agents = agents
    this.#authenticator = authenticator
    this.#userAgent = userAgent
    this.#schemes = new Schemes(agents, userAgent)
    this.#log = log
  }

  /**
   * The head of a 2xx answer whose body went to the consumer, or the trouble. Throws what `receive` and its consumer throw, unchanged,
   * and `cancelled`.
   */
  async send(host: Host, question: Question, receive: (head: Head) => Consumer, attempt: Attempt): Promise<Result<Head>> {
    const started = performance.now()
    const schemes = this.#schemes.of(host)
    let headMs: number | undefined
    const hearing = (head: Head): Consumer => {
      attempt.heard()
      headMs ??= performance.now() - started
      return receive(head)
    }
    let result: Result<Head> | undefined
    for (const scheme of schemes) {
      result = await this.#sendOver(scheme, host, question, hearing, attempt)
      const cause = 'trouble' in result && result.trouble.kind === 'unreachable' ? result.trouble.cause : undefined
      if (cause === undefined) this.#schemes.answered(host, scheme)
      else this.#schemes.broke(host, scheme, cause)
      if (cause === undefined || scheme === schemes.at(-1) || !(await this.#schemes.mayBePlain(host, cause, attempt))) break
      this.#log({ type: 'plain-http', host: host.name })
    }
    if (result === undefined) throw new Error('a host has at least one scheme')
    const ms = performance.now() - started
    this.#log({
      type: 'answer',
      host: host.name,
      method: question.method,
      path: question.path,
      result: 'value' in result ? String(result.value.status) : result.trouble.result,
      code: codeFor(result),
      headMs: headMs ?? ms,
      ms,
    })
    return result
  }

  /** As one login after the other, until one is let in. */
  async #sendOver(
    scheme: Scheme,
    host: Host,
    question: Question,
    receive: (head: Head) => Consumer,
    attempt: Attempt,
    mayAskAgain = true,
  ): Promise<Result<Head>> {
    const { logins } = question
    const repository = host.repository ?? question.repository
    const turnedAway: TurnedAway[] = []
    for (const credentials of await attempt.aside(() => logins.at(host, repository, attempt))) {
      const party: Party = { host, origin: new URL(`${scheme}://${host.name}`), repository, credentials }
      const result = await this.#sendAs(party, question, receive, attempt)
      if ('value' in result) logins.letIn(host, repository, credentials)
      if ('value' in result || !isTurnedAway(result)) return result
      turnedAway.push({ trouble: result.trouble, user: userOf(credentials) })
    }
    const isRefused = turnedAway.some(({ trouble }) => trouble.kind === 'refused')
    if (isRefused && mayAskAgain && logins.forget(host, repository))
      return await this.#sendOver(scheme, host, question, receive, attempt, false)
    return { trouble: withOthers(turnedAway, isRefused ? logins.problems(host, repository) : []) }
  }

  async #sendAs(
    party: Party,
    { method, path, headers, logins }: Question,
    receive: (head: Head) => Consumer,
    attempt: Attempt,
  ): Promise<Said> {
    const { signal, pace } = attempt
    const { host, origin, repository } = party
    const url = new URL(`${origin.origin}${host.path}/${repository}/${path}`)
    if (host.namespace !== undefined) url.searchParams.set('ns', host.namespace)
    const asked = { host, agents: this.#agents, registry: origin, signal, pace }
    for (let refreshes = 0; ; refreshes++) {
      const asking = performance.now()
      const login = await this.#authenticator.authorization(party, signal)
      // A registry that wants nobody's name is asked for no token: that took no time, however long the look was.
      if ('trouble' in login || login.value !== undefined) logins.tookMs += performance.now() - asking
      if ('trouble' in login) return login
      const authorization = login.value === undefined ? {} : { authorization: login.value }
      const sent = { 'user-agent': this.#userAgent, 'accept-encoding': 'identity', ...headers, ...host.headers, ...authorization }
      const reply = await follow(asked, { method, url, headers: sent }, receive)
      if (reply.kind === 'success') return { value: reply.head }
      const isChallenged = reply.kind === 'refusal' && reply.head.status === 401
      if (isChallenged && reply.foreign !== undefined)
        return await this.#askAnonymously(party, reply, method, headers, receive, attempt)
      const isNews = isChallenged && refreshes < MAX_TOKEN_REFRESHES
      if (isNews && (await this.#authenticator.learn(party, reply.head, login.value))) continue
      return { trouble: troubleOf(reply, party, login.value), hasSeenLogin: login.value !== undefined }
    }
  }

  /**
   * Another registry that a redirect leads to may want a token, as registries do for what everybody may read. It gets an anonymous one's:
   * nothing that was meant for the first registry is shown to it.
   */
  async #askAnonymously(
    party: Party,
    refusal: Extract<Reply, { kind: 'refusal' }>,
    method: Question['method'],
    headers: Question['headers'],
    receive: (head: Head) => Consumer,
    { signal, pace }: Attempt,
  ): Promise<Result<Head>> {
    const url = refusal.foreign ?? party.origin
    const host: Host = { ...party.host, headers: {}, named: false }
    const stranger: Party = {
      host,
      origin: new URL(url.origin),
      sentBy: party.origin,
      repository: party.repository,
      credentials: { kind: 'anonymous' },
    }
    if (!(await this.#authenticator.learn(stranger, refusal.head, undefined)))
      return { trouble: troubleOf(refusal, party, undefined) }
    const login = await this.#authenticator.authorization(stranger, signal)
    if ('trouble' in login) return login
    const sent = { 'user-agent': this.#userAgent, 'accept-encoding': 'identity', ...headers, authorization: login.value ?? '' }
    const asked = { host, agents: this.#agents, registry: party.origin, signal, pace }
    const reply = await follow(asked, { method, url, headers: sent }, receive)
    return reply.kind === 'success' ? { value: reply.head } : { trouble: troubleOf(reply, party, login.value) }
  }
}

/** An answer's status; a word for what became of the request where there was none. */
function codeFor(result: Result<Head>): string {
  if ('value' in result) return String(result.value.status)
  const { kind, httpStatus } = result.trouble
  return httpStatus === undefined ? kind : String(httpStatus)
}

type Said = Result<Head> & { readonly hasSeenLogin?: boolean }
/** Refused, or told that there is nothing. */
type TurnedAway = { readonly trouble: Trouble & { readonly kind: 'refused' | 'absent' }; readonly user: string | undefined }

/** Another login may be let in. A registry hides what is private by a 404, too; where it has not seen a login, nothing is hidden. */
const isTurnedAway = (said: Exclude<Said, { value: Head }>): said is Said & Pick<TurnedAway, 'trouble'> =>
  said.trouble.kind === 'refused' || (said.trouble.kind === 'absent' && said.hasSeenLogin === true)

/** The last refusal, or the last 404 where all said that, with what the others were told, and why there were no more of them to try. */
function withOthers(turnedAway: readonly TurnedAway[], problems: readonly string[]): Trouble {
  const last = turnedAway.findLast(({ trouble }) => trouble.kind === 'refused') ?? turnedAway.at(-1)
  if (last === undefined) throw new Error('there is at least one login to try')
  const others = turnedAway
    .filter((each) => each !== last)
    .map(({ user, trouble }) => `as user ${user ?? '(none)'}: ${trouble.result}`)
  return { ...last.trouble, result: [last.trouble.result, ...others, ...problems].join('; ') }
}

/** `authorization` is what was sent at last. */
function troubleOf(reply: Exclude<Reply, { kind: 'success' }>, party: Party, authorization: string | undefined): Trouble {
  const { host, credentials } = party
  const secrets = secretsOf(credentials, { ...host.headers, authorization: authorization ?? [] })
  switch (reply.kind) {
    case 'broken':
      return unreachable(reply.error, secrets)
    case 'forbidden': {
      const reason = clean(reply.reason, secrets)
      return { kind: 'failed', result: reason, failure: { kind: 'malformed', what: 'answer', from: host.name, reason } }
    }
    case 'refusal':
      return {
        ...refusal(reply.head, parseErrorBody(reply.body, secrets), reply.foreign, party),
        httpStatus: reply.head.status,
      }
  }
}

/** The meaning of a status, with the code of the body where the status alone is not enough (distribution-spec, "Error codes"). */
function refusal(head: Head, body: ErrorBody, foreign: URL | undefined, { host, repository, credentials }: Party): Trouble {
  const { status, headers } = head
  const result = `${status}${body.text === '' ? '' : ` ${body.text}`}`
  const retryAfterMs = parseRetryAfter(headers['retry-after'])
  const away = foreign === undefined ? undefined : { result: `redirected, then ${result}`, saidBy: foreign.host }
  if (status === 407) {
    const wants = 'a proxy wants another login (407): put user and password into its address'
    return { kind: 'unreachable', result: wants, definite: true, cause: new Error(wants) }
  }
  if (status === 429 || body.code === 'TOOMANYREQUESTS') return { kind: 'rate-limited', result, retryAfterMs, ...away }
  if (status === 404) return { kind: 'absent', result }
  // A presigned address that has expired, say: the registry gives another.
  if (away !== undefined) return { kind: 'server-error', retryAfterMs, ...away }
  if (status === 401 || status === 403) {
    const challenge = chooseChallenge(headers['www-authenticate'])
    const scoped =
      challenge?.scheme === 'bearer' && (challenge.error === 'insufficient_scope' || credentials.kind === 'anonymous')
    const as = status === 403 || body.code === 'DENIED' || scoped ? 'denied' : 'unauthorized'
    return { kind: 'refused', as, result, user: userOf(credentials) }
  }
  if (body.code === 'NAME_INVALID' || body.code === 'TAG_INVALID') {
    return {
      kind: 'failed',
      result,
      failure: {
        kind: 'invalid-reference',
        input: `${host.name}/${repository}`,
        reason: `${result}; check the repository and the tag as that registry shows them`,
      },
    }
  }
  if (status >= 500 || WORTH_ANOTHER_TRY.has(status)) return { kind: 'server-error', status, result, retryAfterMs }
  return { kind: 'failed', result, failure: { kind: 'malformed', what: 'answer', from: host.name, reason: result } }
}
