/** Who may read the embedded registry, and the token endpoint for those who must ask first (distribution-spec, "token authentication"). */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'

export type Auth =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'bearer'
      /** Without users every token request is granted. */
      readonly users?: Readonly<Record<string, string>>
      /** Identity tokens accepted by POST. */
      readonly refreshTokens?: readonly string[]
      /** Seconds a token lives; 300 by default. */
      readonly expiresIn?: number
      /** The realm to announce instead of this server's own `/token`. */
      readonly realm?: string
    }

export type AuthorizationKind = 'none' | 'basic' | 'bearer' | 'other'

export const authorizationKind = (header: string | undefined): AuthorizationKind => {
  if (header === undefined) return 'none'
  const scheme = header.split(' ', 1)[0]?.toLowerCase()
  return scheme === 'basic' || scheme === 'bearer' ? scheme : 'other'
}

const basic = (username: string, password: string) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

/** Checks logins and hands out tokens; every token names the scope it was asked for. */
export class TokenServer {
  readonly #auth: Auth
  readonly #tokens = new Map<string, { readonly scopes: ReadonlySet<string>; readonly expires: number }>()

  constructor(auth: Auth) {
    this.#auth = auth
  }

  /** Makes all tokens given out so far invalid. */
  revokeAll(): void {
    this.#tokens.clear()
  }

  /** Undefined when the request may go on, else the challenge of a 401. */
  challenge(authorization: string | undefined, repository: string, origin: string): string | undefined {
    const auth = this.#auth
    if (auth.kind === 'none') return undefined
    if (auth.kind === 'basic') return authorization === basic(auth.username, auth.password) ? undefined : 'Basic realm="embedded"'
    const scope = `repository:${repository}:pull`
    const token = authorization?.replace(/^Bearer /i, '') ?? ''
    const grant = this.#tokens.get(token)
    if (grant !== undefined && grant.expires > Date.now() && grant.scopes.has(scope)) return undefined
    return `Bearer realm="${auth.realm ?? `${origin}/token`}",service="embedded",scope="${scope}"`
  }

  /** Answers `GET /token` and `POST /token`. */
  async answer(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Promise<void> {
    const form = request.method === 'POST' ? new URLSearchParams(await text(request)) : undefined
    if (!this.#mayHaveToken(request.headers.authorization, form)) {
      response.writeHead(401, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'incorrect username or password' }] }))
      return
    }
    const scopes = form === undefined ? query.getAll('scope') : (form.get('scope') ?? '').split(' ')
    const token = randomBytes(16).toString('hex')
    const expiresIn = (this.#auth.kind === 'bearer' ? this.#auth.expiresIn : undefined) ?? 300
    this.#tokens.set(token, { scopes: new Set(scopes), expires: Date.now() + expiresIn * 1000 })
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify(form === undefined ? { token, expires_in: expiresIn } : { access_token: token, expires_in: expiresIn }),
    )
  }

  #mayHaveToken(authorization: string | undefined, form: URLSearchParams | undefined): boolean {
    if (this.#auth.kind !== 'bearer') return false
    const { users, refreshTokens } = this.#auth
    if (form !== undefined)
      return form.get('grant_type') === 'refresh_token' && (refreshTokens ?? []).includes(form.get('refresh_token') ?? '')
    if (users === undefined) return authorization === undefined
    return Object.entries(users).some(([username, password]) => authorization === basic(username, password))
  }
}
