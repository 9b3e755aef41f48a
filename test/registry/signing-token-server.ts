/**
 * A token server whose tokens Debian's docker-registry verifies: JSON Web Tokens signed with a key that its `rootcertbundle` vouches for
 * (distribution, docs/spec/auth/token.md and jwt.md).
 */
import { randomUUID, sign, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { DockerRegistryTokens } from './docker-registry.ts'

export type SigningOptions = {
  /** PEM: who vouches for the signer, and the signer. */
  readonly ca: string
  readonly signer: { readonly cert: string; readonly key: string }
  readonly users: Readonly<Record<string, string>>
  /** Taken in place of a login. */
  readonly refreshToken?: string
  /** Nobody may do anything with what is handed out. */
  readonly grantsNothing?: boolean
}

export interface SigningTokenServer extends AsyncDisposable {
  /** For the registry's configuration. */
  readonly tokens: DockerRegistryTokens
  /** What it was asked, and what it answered: `GET repository:a:pull as mate 200`. */
  readonly asked: readonly string[]
  /** As many of the next tokens ended two minutes ago: more than the minute docker-registry allows for clocks. */
  endEarly(count: number): void
  /** A token without asking. */
  tokenFor(scope: string): string
}

const SERVICE = 'windlass-test-registry'
const ISSUER = 'windlass-test-issuer'
const LIFE_S = 300

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')

export async function startSigningTokenServer(options: SigningOptions): Promise<SigningTokenServer> {
  const asked: string[] = []
  let early = 0

  function tokenFor(scopes: readonly string[], subject: string): string {
    const now = Math.floor(Date.now() / 1000)
    const isEarly = early > 0
    if (isEarly) early--
    const access = options.grantsNothing === true ? [] : scopes.map(accessOf)
    const header = { typ: 'JWT', alg: 'ES256', x5c: [new X509Certificate(options.signer.cert).raw.toString('base64')] }
    const exp = isEarly ? now - 120 : now + LIFE_S
    const claims = { iss: ISSUER, sub: subject, aud: SERVICE, exp, nbf: now - 600, iat: now - 600, jti: randomUUID(), access }
    const signed = `${encoded(header)}.${encoded(claims)}`
    const signature = sign('sha256', Buffer.from(signed), { key: options.signer.key, dsaEncoding: 'ieee-p1363' })
    return `${signed}.${signature.toString('base64url')}`
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { searchParams } = new URL(request.url ?? '/', 'http://token.test')
    const form = request.method === 'POST' ? new URLSearchParams(await text(request)) : undefined
    const scopes = form === undefined ? searchParams.getAll('scope') : (form.get('scope') ?? '').split(' ')
    const who = form === undefined ? userOf(request.headers.authorization) : refreshed(form.get('refresh_token'))
    const status = who === undefined || (form ?? searchParams).get('service') !== SERVICE ? 401 : 200
    asked.push(`${request.method} ${scopes.join(' ')} as ${who ?? 'nobody'} ${status}`)
    response.writeHead(status, { 'content-type': 'application/json' })
    const token = status === 200 ? tokenFor(scopes, who ?? '') : undefined
    const granted = form === undefined ? { token } : { access_token: token }
    response.end(JSON.stringify(token === undefined ? { details: 'no such login' } : { ...granted, expires_in: LIFE_S }))
  }

  const userOf = (authorization: string | undefined): string | undefined => {
    const [user = '', ...password] = Buffer.from(authorization?.replace(/^Basic /, '') ?? '', 'base64')
      .toString()
      .split(':')
    return options.users[user] !== undefined && options.users[user] === password.join(':') ? user : undefined
  }
  const refreshed = (token: string | null): string | undefined =>
    token !== null && token === options.refreshToken ? 'the refreshed' : undefined

  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    tokens: { realm: `http://127.0.0.1:${address.port}/token`, service: SERVICE, issuer: ISSUER, ca: options.ca },
    asked,
    endEarly: (count) => {
      early = count
    },
    tokenFor: (scope) => tokenFor([scope], 'the test'),
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** `repository:team/app:pull,push` (distribution, docs/spec/auth/scope.md). */
function accessOf(scope: string): object {
  const [type, name, actions = ''] = scope.split(':')
  return { type, name, actions: actions.split(',') }
}
