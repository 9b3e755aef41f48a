/** What kubelet and crictl send to log in with, as `Credentials`. No text of a secret ends up in an error. */
import { fail } from '../failure/failure.ts'
import type { Reference } from '../reference/reference.ts'
import { sentCredentials } from '../registry/credentials.ts'
import type { Credentials } from '../registry/registry.ts'
import type { AuthConfig__Output } from '../rpc/generated/runtime/v1/AuthConfig.ts'

const anonymous: Credentials = { kind: 'anonymous' }

/** The credentials for `reference`. Those meant for another registry (`server_address`) are left out, not sent. Throws invalid-argument. */
export function credentialsOf(auth: AuthConfig__Output | null, reference: Reference): Credentials {
  if (auth === null) return anonymous
  if (auth.serverAddress !== '' && hostOf(auth.serverAddress) !== hostOf(reference.registry)) return anonymous
  const sent = sentCredentials(auth)
  return sent.kind === 'anonymous' && auth.auth !== '' ? basicOf(auth.auth) : sent
}

/** Docker's config.json, `auths[host].auth`: base64 of `username:password`; docker pads the password with zero bytes. */
function basicOf(text: string): Credentials {
  const refuse = (reason: string): never => fail({ kind: 'invalid-argument', what: 'auth', reason })
  // Buffer.from skips what is not base64, so it cannot tell.
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) refuse('want base64 of username:password')
  const decoded = Buffer.from(text, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  if (colon < 1) refuse('decoded, it is not username:password')
  return { kind: 'basic', username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }
}

/** The names Docker Hub goes by in config files. */
const hubNames = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** The host of an address in any of the forms in use: `r.example:5000`, `https://r.example/v1/`. */
function hostOf(address: string): string {
  const host = address
    .replace(/^[a-z]+:\/\//i, '')
    .replace(/\/.*$/, '')
    .toLowerCase()
  return hubNames.has(host) ? 'docker.io' : host
}
