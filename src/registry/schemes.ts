/** HTTPS or plain HTTP, for hosts that may be asked over either: HTTPS first, and what worked for a while from then on. */
import type { Agents } from './agents.ts'
import { codeOf } from './errors.ts'
import { follow } from './follow.ts'
import type { Host, Scheme } from './hosts.ts'
import type { Attempt } from './patience.ts'

const REMEMBERED_MS = 300_000
const MAX_REMEMBERED = 1_000
/** What OpenSSL says when the other side answers the handshake with HTTP. */
const NOT_TLS = /^(ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|ERR_SSL_HTTP_REQUEST)$/

export class Schemes {
  readonly #agents: Agents
  readonly #userAgent: string
  readonly #now: () => number
  readonly #known = new Map<string, { readonly scheme: Scheme; readonly until: number }>()

  constructor(agents: Agents, userAgent: string, now: () => number = () => performance.now()) {
    this.#agents = agents
    this.#userAgent = userAgent
    this.#now = now
  }

  /** Those to try, in their order. */
  of({ name, schemes }: Host): readonly Scheme[] {
    const known = this.#known.get(name)
    return known !== undefined && known.until > this.#now() && schemes.includes(known.scheme) ? [known.scheme] : schemes
  }

  /** Plain HTTP is not remembered for longer by being used: HTTPS may be well again. */
  answered(host: Host, scheme: Scheme): void {
    if (host.schemes.length === 1 || (scheme === 'http' && this.of(host).length === 1)) return
    if (this.#known.size >= MAX_REMEMBERED) this.#known.clear()
    this.#known.set(host.name, { scheme, until: this.#now() + REMEMBERED_MS })
  }

  /** It could not be reached so. Where HTTPS has worked, a connection that breaks says nothing of plain HTTP. */
  broke({ name, isInsecure }: Host, scheme: Scheme, cause: Error): void {
    if (isInsecure === true && scheme === 'https' && !isNotTls(cause)) return
    this.#known.delete(name)
  }

  /** Whether HTTPS failing so is a reason to try plain HTTP. Throws cancelled. */
  async mayBePlain(host: Host, cause: Error, attempt: Attempt): Promise<boolean> {
    return isNotTls(cause) || (host.isInsecure === true && (await this.#isPlainRegistry(host, attempt)))
  }

  /**
   * What answers on port 80 may be there to send people on to HTTPS, and its 404 says nothing of an image: a registry is what answers
   * `/v2/` itself, with 200 or 401 (distribution-spec, "Determining Support").
   */
  async #isPlainRegistry(host: Host, { signal, pace }: Attempt): Promise<boolean> {
    const registry = new URL(`http://${host.name}`)
    const headers = { 'user-agent': this.#userAgent }
    const asked = { host, agents: this.#agents, registry, signal, pace }
    const reply = await follow(asked, { method: 'GET', url: new URL('/v2/', registry), headers }, () => () => 'stop')
    if (reply.kind !== 'success' && reply.kind !== 'refusal') return false
    return [200, 401].includes(reply.head.status) && reply.head.origin === registry.origin
  }
}

const isNotTls = (cause: Error): boolean => NOT_TLS.test(codeOf(cause))
