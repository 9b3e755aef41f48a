/** The door for credentials that callers send: whichever service they come through, they are checked alike. */
import { fail } from '../failure/failure.ts'
import type { Credentials } from './registry.ts'

/** The fields CRI's AuthConfig and windlass.v1's Credentials share; empty where nothing was said. */
export type SentCredentials = {
  readonly username: string
  readonly password: string
  readonly identityToken: string
  readonly registryToken: string
}

/**
 * A token wins over a name and password beside it: cloud login helpers fill in both, with a name that stands for "see the token". Throws
 * invalid-argument; no text of a secret ends up in it.
 */
export function sentCredentials({ username, password, identityToken, registryToken }: SentCredentials): Credentials {
  if (registryToken !== '') return { kind: 'registry-token', token: checkToken('registry_token', registryToken) }
  if (identityToken !== '') return { kind: 'identity-token', token: checkToken('identity_token', identityToken) }
  return username === '' ? { kind: 'anonymous' } : { kind: 'basic', username, password }
}

/** A token goes into a header (RFC 6750, section 2.1), where a line end would start another one. */
export const isToken = (text: string): boolean => /^[\x21-\x7e]+$/.test(text)

function checkToken(field: string, token: string): string {
  if (isToken(token)) return token
  return fail({ kind: 'invalid-argument', what: field, reason: 'a token holds only printable ASCII characters without spaces' })
}

/**
 * Docker's config.json, `auths[host].auth`, and CRI's `auth`: base64 of `username:password`; docker pads the password with zero bytes.
 * Undefined where it is not that.
 */
export function basicIn(text: string): Extract<Credentials, { kind: 'basic' }> | undefined {
  // Buffer.from skips what is not base64, so it cannot tell.
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined
  const decoded = Buffer.from(text, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  return colon < 1 ? undefined : { kind: 'basic', username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }
}
