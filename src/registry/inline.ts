/**
 * The hosts of a registry as containerd's own configuration has them where it has no config_path: `mirrors`, `configs.*.tls` and
 * `headers` of its CRI plugin's `registry` (containerd, docs/cri/registry.md, "deprecated"). Read so that they mean the same here.
 */
import { dirname } from 'node:path'
import { fail } from '../failure/failure.ts'
import { isSameRegistry } from '../reference/registry-name.ts'
import { type Host, isLoopback, ownName } from './hosts.ts'
import { readTls, type TlsFiles } from './tls-files.ts'

export type InlineRegistries = {
  /** The file they are in, for what is wrong with them. */
  readonly file: string
  /** Endpoints by registry; `*` for those that are not named. */
  readonly mirrors: Readonly<Record<string, readonly string[]>>
  /** By host and port of an endpoint. */
  readonly tls: Readonly<Record<string, TlsFiles>>
  /** Sent to every host. */
  readonly headers: Readonly<Record<string, readonly string[]>>
}

const NO_TLS: TlsFiles = { ca: [], client: [], skipVerify: false }

/** The mirrors in their order, then the registry itself, unless it is among them. Throws bad-config. */
export function inlineHosts(registry: string, inline: InlineRegistries, dialTimeoutMs: number): Host[] {
  const { file, mirrors, headers } = inline
  const own = ownName(registry)
  const listed = (mirrors[registry] ?? mirrors['*'] ?? []).map((text) => endpointIn(text, file))
  const isOwn = ({ host }: URL): boolean => isSameRegistry(host, registry)
  const endpoints = listed.some(isOwn) ? listed : [...listed, endpointIn(own, file)]
  // Below other paths of its host are mirrors, unless that is all there is of it.
  const named = endpoints.find((url) => isOwn(url) && pathOf(url) === '/v2') ?? endpoints.findLast(isOwn)
  return endpoints.map((url) => ({
    name: url.host,
    schemes: [url.protocol === 'http:' ? 'http' : 'https'],
    path: pathOf(url),
    capabilities: new Set(['pull', 'resolve']),
    named: url === named,
    namespace: url === named ? undefined : registry,
    headers,
    tls: readTls(inline.tls[url.host] ?? NO_TLS, { dir: dirname(file), file }),
    dialTimeoutMs,
  }))
}

const pathOf = ({ pathname }: URL): string => (pathname === '/' ? '/v2' : pathname.replace(/\/$/, ''))

/** Without a scheme https is meant, on loopback http. */
function endpointIn(text: string, file: string): URL {
  const address = /^[a-z]+:\/\//i.test(text) ? text : `${isLoopback(text) ? 'http' : 'https'}://${text}`
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  const shown = JSON.stringify(text.replace(/\/\/[^/@]*@/, '//***@'))
  return fail({ kind: 'bad-config', file, field: 'registry.mirrors', reason: `${shown} is no http or https URL` })
}
