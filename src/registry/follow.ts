/** One request, through the redirects its answer may give. What was meant for the registry's eyes never goes further than its origin. */
import type { Agents } from './agents.ts'
import { MAX_ERROR_BODY } from './errors.ts'
import { type Consumer, collect, exchange, type Head, type WireRequest } from './exchange.ts'
import { Ambiguous } from './fields.ts'
import { ForbiddenAddress, forbiddenTarget } from './guard.ts'
import type { Host } from './hosts.ts'
import type { PaceLimits } from './pace.ts'

export type Reply =
  /** 2xx, and the body has gone to the consumer. */
  | { readonly kind: 'success'; readonly head: Head }
  /** Any other status; `foreign` is who gave it, where that was not the registry's origin. */
  | { readonly kind: 'refusal'; readonly head: Head; readonly body: Buffer; readonly foreign: URL | undefined }
  | { readonly kind: 'broken'; readonly head: Head | undefined; readonly error: Error }
  /** A redirect that must not be followed. */
  | { readonly kind: 'forbidden'; readonly reason: string }

export type Asked = {
  readonly host: Host
  readonly agents: Agents
  /** The registry's origin: redirects are judged against it. */
  readonly registry: URL
  readonly signal: AbortSignal
  /** None by default. */
  readonly pace?: PaceLimits
}

const MAX_REDIRECTS = 5

/** Throws what `receive` and its consumer throw, and `cancelled`. */
export async function follow(asked: Asked, first: WireRequest, receive: (head: Head) => Consumer): Promise<Reply> {
  let request = first
  for (let redirects = 0; ; redirects++) {
    const body: Buffer[] = []
    const outcome = await exchange(
      asked.agents.for({ ...asked, target: request.url }),
      request,
      (head) => (isSuccess(head) ? receive(head) : collect(body, MAX_ERROR_BODY)),
      asked.signal,
      asked.pace,
    )
    if (outcome.kind === 'broken') {
      const isForbidden = outcome.error instanceof ForbiddenAddress || outcome.error instanceof Ambiguous
      return isForbidden ? { kind: 'forbidden', reason: outcome.error.message } : outcome
    }
    const { head } = outcome
    if (isSuccess(head)) return { kind: 'success', head }
    const location = head.headers.location
    if (!isRedirect(head) || location === undefined) {
      const foreign = request.url.origin === first.url.origin ? undefined : request.url
      return { kind: 'refusal', head, body: Buffer.concat(body), foreign }
    }
    if (redirects === MAX_REDIRECTS) return { kind: 'forbidden', reason: `more than ${MAX_REDIRECTS} redirects` }
    if (!URL.canParse(location, request.url.href)) return { kind: 'forbidden', reason: 'a redirect to what is not a URL' }
    const target = new URL(location, request.url)
    const reason = forbiddenTarget(target, asked.registry)
    if (reason !== undefined) return { kind: 'forbidden', reason: `a redirect: ${reason}` }
    if (request.body !== undefined) return { kind: 'forbidden', reason: 'a redirect of a request that carries a secret' }
    request = {
      ...request,
      url: target,
      headers: target.origin === request.url.origin ? request.headers : publicHeaders(request, asked.host),
    }
  }
}

const isSuccess = ({ status }: Head): boolean => status >= 200 && status < 300
const isRedirect = ({ status }: Head): boolean => [301, 302, 303, 307, 308].includes(status)

/** Without the login and without what hosts.toml says for this host alone; once gone they do not come back. */
function publicHeaders({ headers }: WireRequest, host: Host): WireRequest['headers'] {
  const own = new Set(['authorization', ...Object.keys(host.headers)])
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !own.has(name)))
}
