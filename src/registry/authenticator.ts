/**
 * Which Authorization a request to a host carries. What a host once asked for is remembered, so that the next request, and the next
 * pull, need no refusal first.
 */
import { type Challenge, chooseChallenge } from './challenge.ts'
import type { Result } from './errors.ts'
import type { Head } from './exchange.ts'
import type { Host } from './hosts.ts'
import type { Credentials } from './registry.ts'
import { basicAuthorization, type TokenRequest, type Tokens } from './token.ts'

/** One repository at one host, as one caller sees it. */
export type Party = {
  readonly host: Host
  /** As it was reached. */
  readonly origin: URL
  /** The registry whose redirect led here, where one did: what names may stand for is judged by it. */
  readonly sentBy?: URL
  readonly repository: string
  /** A caller's own at the registry named in the reference alone; elsewhere what this node has for the host. */
  readonly credentials: Credentials
}

const MAX_REMEMBERED = 2_000

export class Authenticator {
  readonly #tokens: Tokens
  readonly #challenges = new Map<string, Challenge>()

  constructor(tokens: Tokens) {
    this.#tokens = tokens
  }

  /** The header to send now; undefined where none is known to be wanted. */
  async authorization(party: Party, signal: AbortSignal): Promise<Result<string | undefined>> {
    if (party.credentials.kind === 'registry-token') return { value: `Bearer ${party.credentials.token}` }
    const challenge = this.#challenges.get(this.#keyOf(party))
    if (challenge === undefined) return { value: undefined }
    if (challenge.scheme === 'basic')
      return { value: party.credentials.kind === 'basic' ? basicAuthorization(party.credentials) : undefined }
    const result = await this.#tokens.get(tokenRequest(party, challenge), signal)
    return 'trouble' in result ? result : { value: `Bearer ${result.value}` }
  }

  /** Learns from a 401. False: there is nothing else to send, the refusal stands. */
  async learn(party: Party, head: Head, sent: string | undefined): Promise<boolean> {
    if (party.credentials.kind === 'registry-token') return false
    const challenge = chooseChallenge(head.headers['www-authenticate'])
    if (challenge === undefined) return false
    if (challenge.scheme === 'basic' && (party.credentials.kind !== 'basic' || sent?.startsWith('Basic ') === true)) return false
    if (challenge.scheme === 'bearer' && sent?.startsWith('Bearer ') === true) {
      await this.#tokens.forget(tokenRequest(party, challenge), sent.slice('Bearer '.length))
    }
    this.#remember(this.#keyOf(party), challenge)
    return true
  }

  #remember(key: string, challenge: Challenge): void {
    this.#challenges.delete(key)
    this.#challenges.set(key, challenge)
    for (const oldest of this.#challenges.keys()) {
      if (this.#challenges.size <= MAX_REMEMBERED) break
      this.#challenges.delete(oldest)
    }
  }

  #keyOf({ origin, repository, credentials }: Party): string {
    return JSON.stringify([origin.origin, repository, this.#tokens.fingerprint(credentials)])
  }
}

const tokenRequest = (party: Party, challenge: Extract<Challenge, { scheme: 'bearer' }>): TokenRequest => ({
  ...party,
  challenge,
})
