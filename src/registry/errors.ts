/**
 * From what one host did to the failure a caller gets. A `Trouble` is one host's; when no host delivers, `failureFor` makes one failure
 * of them that names each host. What a registry says is shown without what it was sent (secrets.ts), URLs without their query.
 */
import { z } from 'zod'
import { type Failure, type HostAttempt, WindlassError } from '../failure/failure.ts'
import { ofReference } from '../failure/of-reference.ts'
import { jsonOrUndefined } from '../oci/json.ts'
import { TooSlow } from './pace.ts'
import { hide, type Secrets } from './secrets.ts'

/** Why one host did not deliver. `result` is for people: "404 MANIFEST_UNKNOWN: …", "connection refused". */
export type Trouble = Answered &
  /**
   * No whole answer. `definite`: asking again at once is pointless (refused, unknown name, bad certificate). `silent`: bytes came too slowly,
   * or none at all.
   */
  (
    | {
        readonly kind: 'unreachable'
        readonly result: string
        readonly definite: boolean
        readonly silent?: true
        readonly cause: Error
      }
    | {
        readonly kind: 'server-error'
        readonly status?: number
        readonly result: string
        readonly retryAfterMs: number | undefined
        /** Who says so, where that is not the host itself: its token server, or whom a redirect led to. */
        readonly saidBy?: string
      }
    | {
        readonly kind: 'rate-limited'
        readonly result: string
        readonly retryAfterMs: number | undefined
        readonly saidBy?: string
      }
    | { readonly kind: 'absent'; readonly result: string }
    /** It was understood, and the answer is no. */
    | {
        readonly kind: 'refused'
        readonly result: string
        readonly as: 'unauthorized' | 'denied'
        readonly user: string | undefined
      }
    /** It will not deliver, however often it is asked. */
    | { readonly kind: 'failed'; readonly result: string; readonly failure: Failure }
  )

/** The status of the answer it was made of, where there was one. */
type Answered = { readonly httpStatus?: number }

/** A value, or one host's trouble. */
export type Result<T> = { readonly value: T } | { readonly trouble: Trouble }

export type TriedHost = { readonly host: string; readonly trouble: Trouble }

/** An error body may be anything; no more of it than this is read. */
export const MAX_ERROR_BODY = 64 * 1024
const MAX_SEARCHED = 4096
const MAX_SHOWN = 300

const bodySchema = z.object({ errors: z.array(z.object({ code: z.string().default(''), message: z.string().nullish() })).min(1) })
const tokenBodySchema = z.object({
  details: z.string().optional(),
  message: z.string().optional(),
  error_description: z.string().optional(),
})

export type ErrorBody = { readonly code: string | undefined; readonly text: string }

/** The code and message of an error answer (distribution-spec, "Error codes"), or the start of its text. */
export function parseErrorBody(body: Buffer, secrets: Secrets): ErrorBody {
  const text = body.toString('utf8')
  const json = jsonOrUndefined(text)
  const errors = bodySchema.safeParse(json)
  if (errors.success) {
    const [first] = errors.data.errors
    return { code: first?.code, text: clean([first?.code, first?.message].filter(Boolean).join(': '), secrets) }
  }
  const other = tokenBodySchema.safeParse(json)
  const said = other.success ? (other.data.details ?? other.data.message ?? other.data.error_description) : undefined
  return { code: undefined, text: clean(said ?? (/^\s*</.test(text) ? '' : text), secrets) }
}

/** One short printable line without secrets and without the queries of URLs, which may be signed. */
export function clean(text: string, secrets: Secrets): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  const line = hide(text, secrets).replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
  return line
    .slice(0, MAX_SEARCHED)
    .replace(/(https?:\/\/[^\s"'?]*)\?[^\s"']*/gi, '$1?***')
    .trim()
    .slice(0, MAX_SHOWN)
}

/** Errors of which a second try, at once, would only see the same. */
const DEFINITE =
  /^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|ERR_TLS|ERR_SSL|CERT_|UNABLE_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_|EPROTO|ERR_INVALID|ERR_PROXY_REFUSED)/

const KNOWN: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ENOTFOUND: 'no such host name',
  EAI_AGAIN: 'name resolution failed for now',
  EPIPE: 'connection closed',
  UND_ERR_SOCKET: 'connection closed',
  UND_ERR_CONNECT_TIMEOUT: 'timeout while connecting',
  UND_ERR_BODY_TIMEOUT: 'timeout while waiting for more bytes',
  ERR_SSL_WRONG_VERSION_NUMBER:
    'it was asked over HTTPS and answers without TLS (where that is meant: server = "http://…" in its hosts.toml)',
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted('is signed by itself'),
  SELF_SIGNED_CERT_IN_CHAIN: untrusted('is signed by an authority that this node does not trust'),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted('is signed by an authority that this node does not know'),
  UNABLE_TO_GET_ISSUER_CERT: untrusted('is signed by an authority that this node does not know'),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted('is signed by an authority that this node does not know'),
  CERT_HAS_EXPIRED: 'its certificate has expired, or the clock of this node is wrong',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet, or the clock of this node is wrong',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it wants a client certificate (client in its hosts.toml)',
}

function untrusted(why: string): string {
  return `its certificate ${why} (ca in its hosts.toml names one that may)`
}

/** The errno-like code of a connection error; undici wraps those of sockets, and Node those of several addresses. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return code.startsWith('UND_ERR_SOCKET') && error.cause !== undefined ? codeOf(error.cause) || code : code
}

/** Of what OpenSSL says, only the reason is for people: before it stands where in OpenSSL's own code that was. */
function ownWords(error: Error): string {
  if ('library' in error && 'reason' in error && typeof error.reason === 'string') return `TLS: ${error.reason}`
  return error.message.split('\n', 1)[0] ?? ''
}

/** The trouble of a connection that broke. */
export function unreachable(error: Error, secrets: Secrets): Trouble {
  const code = codeOf(error)
  const reason = KNOWN[code] ?? clean(ownWords(error), secrets)
  const silent = error instanceof TooSlow ? ({ silent: true } as const) : {}
  return { kind: 'unreachable', result: reason === '' ? code : reason, definite: DEFINITE.test(code), ...silent, cause: error }
}

/** What was asked for, for the one failure in the end. */
export type Wanted = { readonly reference: string; readonly absent: (tried: readonly HostAttempt[]) => Failure }

/** Where several hosts failed in different ways, the one that knows most speaks: it answered > it lacks it > it was not reached. */
export function failureFor(wanted: Wanted, tried: readonly TriedHost[]): WindlassError {
  const attempts = tried.map(({ host, trouble }) => ({
    host,
    result: trouble.result,
    ...(trouble.kind === 'unreachable' ? {} : { answered: true }),
  }))
  const { reference } = wanted
  for (const [at, { host, trouble }] of [...tried.entries()].reverse()) {
    const others = attempts.filter((_, other) => other !== at)
    const besides = others.length === 0 ? {} : { others }
    switch (trouble.kind) {
      case 'failed':
        return new WindlassError(ofReference(trouble.failure, reference, others))
      case 'refused': {
        const user = trouble.user === undefined ? {} : { user: trouble.user }
        return new WindlassError({ kind: trouble.as, reference, host, ...user, detail: trouble.result, ...besides })
      }
      case 'rate-limited': {
        const retryAfter = trouble.retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.ceil(trouble.retryAfterMs / 1000) }
        return new WindlassError({ kind: 'rate-limited', reference, host: trouble.saidBy ?? host, ...retryAfter, ...besides })
      }
    }
  }
  if (tried.some(({ trouble }) => trouble.kind === 'absent')) return new WindlassError(wanted.absent(attempts))
  const last = tried.at(-1)?.trouble
  const cause = last?.kind === 'unreachable' ? last.cause : undefined
  return new WindlassError({ kind: 'registry-unavailable', reference, tried: attempts }, cause)
}

/** The `cancelled` of an aborted signal; its own error where the caller gave one. */
export function cancelledBy(signal: AbortSignal): WindlassError {
  const { reason } = signal
  if (reason instanceof WindlassError) return reason
  const deadline = reason instanceof Error && reason.name === 'TimeoutError'
  return new WindlassError({ kind: 'cancelled', reason: deadline ? 'deadline' : 'cancelled' }, reason)
}
