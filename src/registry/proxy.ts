/** Which proxy a request goes through, by the rules of Go's net/http, which runtimes and kubelet follow (golang.org/x/net/http/httpproxy). */
import { BlockList, isIP } from 'node:net'
import { fail } from '../failure/failure.ts'
import { isLoopback } from './hosts.ts'

/** As people write them; empty: none. `noProxy` has commas between its entries. */
export type ProxySettings = { readonly http: string; readonly https: string; readonly noProxy: string }

export type HttpProxy = {
  readonly origin: URL
  /** `host:port`, for messages: it never tells who logs in. */
  readonly label: string
  /** The login, for the proxy's eyes alone. */
  readonly authorization: string | undefined
}

export type ProxyFor = (target: URL) => HttpProxy | undefined

export const noProxies: ProxyFor = () => undefined

type Environment = Readonly<Record<string, string | undefined>>

/** What was said of each, first by the configuration, then by the environment. */
export function proxySettings(said: Partial<ProxySettings>, env: Environment): ProxySettings {
  const of = (name: string): string => env[name] || env[name.toLowerCase()] || ''
  return {
    http: said.http ?? of('HTTP_PROXY'),
    https: said.https ?? of('HTTPS_PROXY'),
    noProxy: said.noProxy ?? of('NO_PROXY'),
  }
}

/** Throws invalid-argument for an address that is none of a proxy, without repeating it: it may hold a password. */
export function proxiesFrom({ http, https, noProxy }: ProxySettings): ProxyFor {
  const forHttp = proxyAt(http, 'HTTP_PROXY')
  const forHttps = proxyAt(https, 'HTTPS_PROXY')
  const exempt = noProxy
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .map(exemption)
  return (target) => {
    const proxy = target.protocol === 'https:' ? forHttps : forHttp
    if (proxy === undefined || isLoopback(target.hostname)) return undefined
    const port = target.port || (target.protocol === 'https:' ? '443' : '80')
    const host = target.hostname.replace(/^\[|\]$/g, '')
    return exempt.some((matches) => matches(host, port)) ? undefined : proxy
  }
}

function proxyAt(text: string, what: string): HttpProxy | undefined {
  if (text === '') return undefined
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    const reason = 'want the address of an HTTP proxy such as http://proxy.example:3128'
    return fail({ kind: 'invalid-argument', what, reason })
  }
  const login = `${unescaped(url.username, what)}:${unescaped(url.password, what)}`
  return {
    origin: new URL(url.origin),
    label: url.host,
    authorization: login === ':' ? undefined : `Basic ${Buffer.from(login).toString('base64')}`,
  }
}

function unescaped(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    const reason = 'in its user or password a % stands without two hex digits of UTF-8: write %25 for it'
    return fail({ kind: 'invalid-argument', what, reason })
  }
}

type Exemption = (host: string, port: string) => boolean

/** `*`, a network, an address, a name with all below it, `.name` or `*.name` for those below it alone; each but the first two with a port. */
function exemption(entry: string): Exemption {
  if (entry === '*') return () => true
  const network = networkIn(entry)
  if (network !== undefined) return (host) => isIP(host) !== 0 && network.check(host, familyOf(host))
  const [, name = entry, wanted] = /^(\[[^\]]+\]|[^:]+|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? []
  const isPort = (port: string): boolean => wanted === undefined || wanted === port
  const address = name.replace(/^\[|\]$/g, '')
  if (isIP(address) !== 0) {
    const list = new BlockList()
    list.addAddress(address, familyOf(address))
    return (host, port) => isIP(host) !== 0 && list.check(host, familyOf(host)) && isPort(port)
  }
  const suffix = name.replace(/^\*\./, '.')
  if (suffix.startsWith('.')) return (host, port) => host.endsWith(suffix) && isPort(port)
  return (host, port) => (host === suffix || host.endsWith(`.${suffix}`)) && isPort(port)
}

function networkIn(entry: string): BlockList | undefined {
  const [, address = '', prefix = ''] = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry) ?? []
  const bits = Number(prefix)
  if (isIP(address) === 0 || bits > (isIP(address) === 6 ? 128 : 32)) return undefined
  const list = new BlockList()
  list.addSubnet(address, bits, familyOf(address))
  return list
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
