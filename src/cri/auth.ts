/** What kubelet and crictl send to log in with, as `Credentials`. No text of a secret ends up in an error. */
import { fail } from '../failure/failure.ts'
import type { Reference } from '../reference/reference.ts'
import { isSameRegistry } from '../reference/registry-name.ts'
import { basicIn, sentCredentials } from '../registry/credentials.ts'
import type { Credentials } from '../registry/registry.ts'
import type { AuthConfig__Output } from '../rpc/generated/runtime/v1/AuthConfig.ts'

const anonymous: Credentials = { kind: 'anonymous' }

/** The credentials for `reference`. Those meant for another registry (`server_address`) are left out, not sent. Throws invalid-argument. */
export function credentialsOf(auth: AuthConfig__Output | null, reference: Reference): Credentials {
  if (auth === null) return anonymous
  if (auth.serverAddress !== '' && !isSameRegistry(hostOf(auth.serverAddress), reference.registry)) return anonymous
  const sent = sentCredentials(auth)
  return sent.kind === 'anonymous' && auth.auth !== '' ? basicOf(auth.auth) : sent
}

function basicOf(text: string): Credentials {
  return basicIn(text) ?? fail({ kind: 'invalid-argument', what: 'auth', reason: 'want base64 of username:password' })
}

/** The host of an address in any of the forms in use: `r.example:5000`, `https://r.example/v1/`. */
const hostOf = (address: string): string => address.replace(/^[a-z]+:\/\//i, '').replace(/\/.*$/, '')
