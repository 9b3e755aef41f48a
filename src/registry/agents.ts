/** Connections: one undici agent for each distinct way of connecting (trust, client certificates, dial timeout), shared by all pulls. */
import { createHash } from 'node:crypto'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import type { Host } from './hosts.ts'
import type { TlsSettings } from './tls-files.ts'

/**
 * Enough for every layer of several images at once; beyond it requests wait for a free connection. Blob transfers hold theirs while
 * the unpacker is busy, so a smaller number would let a few slow layers hold up every manifest.
 */
const CONNECTIONS_PER_ORIGIN = 64
/** Certificates may change on disk at each pull; agents for settings long gone are closed beyond this many. */
const MAX_AGENTS = 64

export type Timeouts = {
  /** From the request to the head of the answer. */
  readonly headersMs: number
  /** Between two pieces of a body, while we are ready to take one. */
  readonly bodyMs: number
}

export class Agents implements AsyncDisposable {
  readonly #agents = new Map<string, Agent>()
  readonly #timeouts: Timeouts

  constructor(timeouts: Timeouts) {
    this.#timeouts = timeouts
  }

  /** The agent for a host, which also serves the redirects it gives: they are part of how it is reached. */
  for({ tls, dialTimeoutMs }: Host): Dispatcher {
    const key = createHash('sha256')
      .update(JSON.stringify([tls, dialTimeoutMs]))
      .digest('hex')
    const known = this.#agents.get(key)
    if (known !== undefined) {
      // The map's order is the order of use.
      this.#agents.delete(key)
      this.#agents.set(key, known)
      return known
    }
    const agent = this.#create(tls, dialTimeoutMs)
    this.#agents.set(key, agent)
    this.#closeOldest()
    return agent
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const agents = [...this.#agents.values()]
    this.#agents.clear()
    await Promise.all(agents.map((agent) => agent.destroy()))
  }

  #create(tls: TlsSettings, dialTimeoutMs: number): Agent {
    const plain = buildConnector({ allowH2: false, timeout: dialTimeoutMs })
    // Made at the first HTTPS connection and once: reading the system's certificates takes tens of milliseconds.
    let secure: buildConnector.connector | undefined
    const connect: buildConnector.connector = (options, callback) => {
      if (options.protocol !== 'https:') return plain(options, callback)
      secure ??= buildConnector({
        allowH2: false,
        timeout: dialTimeoutMs,
        rejectUnauthorized: !tls.skipVerify,
        secureContext: secureContextOf(tls),
      })
      secure(options, callback)
    }
    return new Agent({
      allowH2: false, // over one HTTP/2 connection, all layers would share one TCP window
      pipelining: 1,
      connections: CONNECTIONS_PER_ORIGIN,
      headersTimeout: this.#timeouts.headersMs,
      bodyTimeout: this.#timeouts.bodyMs,
      connect,
    })
  }

  #closeOldest(): void {
    if (this.#agents.size <= MAX_AGENTS) return
    const [oldest] = this.#agents
    if (oldest === undefined) return
    this.#agents.delete(oldest[0])
    // Graceful: what is under way ends first; nobody waits for it.
    void oldest[1].close().catch(() => undefined)
  }
}

function secureContextOf(tls: TlsSettings): SecureContext {
  const clients =
    tls.clients.length === 0 ? {} : { cert: tls.clients.map(({ cert }) => cert), key: tls.clients.map(({ key }) => key) }
  if (tls.skipVerify) return createSecureContext(clients)
  return createSecureContext({ ca: [...systemCas(), ...tls.ca], ...clients })
}

/** The node's own trust store; Node's bundled one where the machine has none. */
function systemCas(): readonly string[] {
  const system = getCACertificates('system')
  return system.length === 0 ? getCACertificates('default') : [...system, ...getCACertificates('extra')]
}
