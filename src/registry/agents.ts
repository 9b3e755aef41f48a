/** Connections: one undici agent for each distinct way of connecting (trust, client certificates, timeout, proxy), shared by all pulls. */
import { createHash } from 'node:crypto'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { onread, readingInto } from './arena.ts'
import { guardedLookup, type Kept, keptFrom } from './guard.ts'
import type { Host } from './hosts.ts'
import { type HttpProxy, noProxies, type ProxyFor } from './proxy.ts'
import { inAbsoluteForm, openTunnel, proxyError } from './through-proxy.ts'
import type { TlsSettings } from './tls-files.ts'

/**
 * Enough for every layer of several images at once; beyond it requests wait for a free connection. Blob transfers hold theirs while
 * the unpacker is busy, so a smaller number would let a few slow layers hold up every manifest.
 */
const CONNECTIONS_PER_ORIGIN = 64
/** Certificates may change on disk at each pull; agents for settings long gone are closed beyond this many. */
const MAX_AGENTS = 64
const PROXY_DIAL_TIMEOUT_MS = 30_000

/** What sends a request. */
export type Sender = Pick<Dispatcher, 'dispatch'>

/** How `target` is reached: it is the registry itself, or somewhere that the registry has sent us. */
export type Way = { readonly host: Host; readonly registry: URL; readonly target: URL }

export class Agents implements AsyncDisposable {
  readonly #agents = new Map<string, Agent>()
  /** Between two pieces of a body, while we are ready to take one. */
  readonly #bodyTimeoutMs: number
  readonly #proxyFor: ProxyFor
  #proxies: Agent | undefined

  constructor(bodyTimeoutMs: number, proxyFor: ProxyFor = noProxies) {
    this.#bodyTimeoutMs = bodyTimeoutMs
    this.#proxyFor = proxyFor
  }

  /** The redirects a host gives are asked as it is asked itself, but not at addresses that are none of its business. */
  for({ host, registry, target }: Way): Sender {
    const { dialTimeoutMs } = host
    const tls = tlsAt(target, registry, host.tls)
    const proxy = this.#proxyFor(target)
    if (proxy !== undefined && target.protocol === 'http:') return this.#throughProxy(proxy)
    const kept = target.hostname === registry.hostname ? undefined : keptFrom(registry)
    const key = createHash('sha256')
      .update(JSON.stringify([tls, dialTimeoutMs, kept]))
      .digest('hex')
    const known = this.#agents.get(key)
    if (known !== undefined) {
      // The map's order is the order of use.
      this.#agents.delete(key)
      this.#agents.set(key, known)
      return known
    }
    const agent = this.#create(tls, dialTimeoutMs, kept)
    this.#agents.set(key, agent)
    this.#closeOldest()
    return agent
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const agents = [...this.#agents.values(), ...(this.#proxies === undefined ? [] : [this.#proxies])]
    this.#agents.clear()
    this.#proxies = undefined
    await Promise.all(agents.map((agent) => agent.destroy()))
  }

  #create(tls: TlsSettings, dialTimeoutMs: number, kept: Kept | undefined): Agent {
    const lookup = kept === undefined ? {} : { lookup: guardedLookup(kept) }
    const plain = readingInto(buildConnector({ allowH2: false, timeout: dialTimeoutMs, onread, ...lookup }))
    // Made at the first HTTPS connection and once: reading the system's certificates takes tens of milliseconds.
    let secure: buildConnector.connector | undefined
    return this.#agentOver((options, callback) => {
      if (options.protocol !== 'https:') return plain(options, callback)
      secure ??= readingInto(
        buildConnector({
          allowH2: false,
          timeout: dialTimeoutMs,
          rejectUnauthorized: !tls.skipVerify,
          secureContext: secureContextOf(tls),
          onread,
          ...lookup,
        }),
      )
      const target = hostAndPort(options)
      const proxy = this.#proxyFor(new URL(`https://${target}`))
      if (proxy === undefined) return secure(options, callback)
      const connect = secure
      openTunnel(this.#toProxies(), proxy, target, dialTimeoutMs).then(
        (httpSocket) => connect({ ...options, httpSocket }, callback),
        (error: Error) => callback(error, null),
      )
    })
  }

  /** Connections to proxies: none of a registry's certificates are for them. */
  #toProxies(): Agent {
    const system = { ca: [], clients: [], skipVerify: false }
    this.#proxies ??= this.#agentOver((options, callback) => {
      const secureContext = options.protocol === 'https:' ? { secureContext: secureContextOf(system) } : {}
      const connect = buildConnector({ allowH2: false, timeout: PROXY_DIAL_TIMEOUT_MS, ...secureContext })
      connect(options, (...[error, socket]) => {
        if (error === null) callback(null, socket)
        else callback(proxyError({ label: options.host ?? options.hostname }, error.message, { cause: error }), null)
      })
    })
    return this.#proxies
  }

  #throughProxy(proxy: HttpProxy): Sender {
    const agent = this.#toProxies()
    return { dispatch: (options, handler) => agent.dispatch(inAbsoluteForm(options, proxy), handler) }
  }

  #agentOver(connect: buildConnector.connector): Agent {
    return new Agent({
      allowH2: false, // over one HTTP/2 connection, all layers would share one TCP window
      pipelining: 1,
      connections: CONNECTIONS_PER_ORIGIN,
      headersTimeout: 0, // every interim answer would begin it anew: who asks has a time of his own (pace.ts)
      bodyTimeout: this.#bodyTimeoutMs,
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

/**
 * A client certificate is a login and stays at the origin it is for. Who need not show a certificate of its own is this host alone, at any
 * port; where it sends us, somebody else may listen. Authorities count everywhere: they can only let in whom they vouch for.
 */
function tlsAt(target: URL, registry: URL, tls: TlsSettings): TlsSettings {
  if (target.origin === registry.origin) return tls
  return { ca: tls.ca, clients: [], skipVerify: tls.skipVerify && target.hostname === registry.hostname }
}

const hostAndPort = ({ hostname, port }: { readonly hostname: string; readonly port: string }): string =>
  `${hostname.includes(':') && !hostname.startsWith('[') ? `[${hostname}]` : hostname}:${port || '443'}`

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
