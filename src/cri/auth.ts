/** What kubelet and crictl send to log in with, as `Credentials`. No text of a secret ends up in an error. */
import { fail } from '../failure/failure.ts'
import type { Reference } from '../reference/reference.ts'
import { basicIn, sentCredentials } from '../registry/credentials.ts'
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

function basicOf(text: string): Credentials {
  return basicIn(text) ?? fail({ kind: 'invalid-argument', what: 'auth', reason: 'want base64 of username:password' })
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
