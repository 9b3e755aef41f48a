/**
 * The hosts that may hold a repository, in the order they are asked: the mirrors of `hosts.toml`, then the registry itself.
 * Directory order, fallbacks and defaults are containerd's, so that a node's existing certs.d means the same here.
 */
import { readdir, stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { DOCKER_HUB_HOST, isDockerHub, isSameRegistry } from '../reference/registry-name.ts'
import { ifAbsent, readSmall } from './bounded.ts'
import { type Capability, type HostFields, type HostsFile, parseHostsToml, type UnknownKey, withScheme } from './hosts-toml.ts'
import { readTls, type TlsFiles, type TlsSettings } from './tls-files.ts'

export type Scheme = 'https' | 'http'

export type Host = {
  /** `host[:port]`, as people know it. */
  readonly name: string
  /** Two where plain HTTP may be tried after HTTPS: where that was answered with HTTP. */
  readonly schemes: readonly [Scheme, ...Scheme[]]
  /** Plain HTTP is tried whatever keeps HTTPS from working. */
  readonly isInsecure?: boolean
  /** Before `/<repository>/…`; `/v2` unless the configuration says otherwise. */
  readonly path: string
  readonly capabilities: ReadonlySet<Capability>
  /**
   * This is the registry named in the reference, and no mirror, which may be on the same host below another path or as another repository:
   * only it may see a caller's login, and say whether they may have what they ask for.
   */
  readonly named: boolean
  /** What this host calls the repository, where that is another name than the reference has. */
  readonly repository?: string
  /** Sent as `ns=` to a mirror, so that it knows whose repository is meant. */
  readonly namespace: string | undefined
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly tls: TlsSettings
  readonly dialTimeoutMs: number
}

export const ALL: ReadonlySet<Capability> = new Set(['pull', 'resolve', 'push', 'referrers'])
export const DIAL_TIMEOUT_MS = 30_000
const NO_FIELDS: HostFields = { ca: [], client: [], skipVerify: false, overridePath: false, headers: {} }

/**
 * The hosts for `registry`, read anew on each call. `roots` is a colon-separated list of certs.d directories.
 * `odd` is told of keys that nobody knows. Throws `bad-config`.
 */
export async function hostsOf(
  registry: string,
  roots: string | undefined,
  connectTimeoutMs = DIAL_TIMEOUT_MS,
  odd: Odd = () => {},
): Promise<Host[]> {
  const dir = await directoryOf(registry, roots)
  const file = dir === undefined ? undefined : await readHostsFile(dir)
  if (dir !== undefined && file !== undefined && file.unknown.length > 0) odd(hostsFileIn(dir), file.unknown)
  const from: Source = { registry, dir: dir ?? '', connectTimeoutMs }
  const mirrors = (file?.hosts ?? []).map(({ url, fields }) => configuredHost(url, fields, from, 'mirror'))
  const root = file?.root ?? NO_FIELDS
  const server = file?.server === undefined ? ownHost(root, from) : configuredHost(file.server, root, from, 'server')
  return [...mirrors, server]
}

/** Told of keys that are passed over. */
export type Odd = (file: string, keys: readonly UnknownKey[]) => void

type Source = { readonly registry: string; readonly dir: string; readonly connectTimeoutMs: number }

/** True where a directory of certs.d describes `registry`, or all registries. */
export const isDescribed = async (registry: string, roots: string | undefined): Promise<boolean> =>
  (await directoryOf(registry, roots)) !== undefined

/** True for `localhost` and loopback addresses, with or without a port. */
export function isLoopback(host: string): boolean {
  const name = hostnameOf(host)
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)
}

const hostnameOf = (host: string): string => host.replace(/:\d*$/, '').toLowerCase()
const portOf = (host: string): string => /:(\d+)$/.exec(host.replace(/^\[[^\]]*\]/, ''))?.[1] ?? ''
export const ownName = (registry: string): string => (isDockerHub(registry) ? DOCKER_HUB_HOST : registry)

async function directoryOf(registry: string, roots: string | undefined): Promise<string | undefined> {
  const port = portOf(registry)
  const escaped = port === '' ? [] : [`${registry.slice(0, -port.length - 1)}_${port}_`]
  for (const root of (roots ?? '').split(':').filter((path) => path !== '')) {
    for (const name of [...escaped, registry, '_default']) {
      const dir = join(root, name)
      const found = await stat(dir).catch(ifAbsent(undefined))
      if (found?.isDirectory()) return dir
    }
  }
  return undefined
}

/** `hosts.toml`, or, where there is none or an empty one, the files of docker's layout: *.crt is a CA, *.cert and *.key a client. */
async function readHostsFile(dir: string): Promise<HostsFile> {
  const file = hostsFileIn(dir)
  const text = readSmall(file)
  if (text !== undefined && text.trim() !== '') return parseHostsToml(text, file)
  return { server: undefined, root: { ...NO_FIELDS, ...(await dockerLayout(dir)) }, hosts: [], unknown: [] }
}

const hostsFileIn = (dir: string): string => join(dir, 'hosts.toml')

/** The certificates of a directory in docker's layout, by name; of one that is not there, none. */
export async function dockerLayout(dir: string): Promise<Pick<TlsFiles, 'ca' | 'client'>> {
  const names = (await readdir(dir).catch(ifAbsent([]))).toSorted()
  const ca = names.filter((name) => name.endsWith('.crt'))
  const client = names.filter((name) => name.endsWith('.cert')).map((cert) => ({ cert, key: cert.replace(/\.cert$/, '.key') }))
  return { ca, client }
}

/** The registry itself, where the configuration names no server. */
function ownHost(fields: HostFields, from: Source): Host {
  const name = ownName(from.registry)
  const { capabilities: _, ...rest } = fields
  const tls = tlsOf(fields, from)
  if (!isLoopback(name)) return { ...base(name, true, rest, from), schemes: ['https'], path: '/v2', tls }
  const port = portOf(name)
  const schemes: Host['schemes'] = port === '80' ? ['http'] : port === '' || port === '443' ? ['https'] : ['https', 'http']
  return { ...base(name, true, rest, from), schemes, path: '/v2', tls: { ...tls, skipVerify: true } }
}

function configuredHost(address: string, fields: HostFields, from: Source, as: 'mirror' | 'server'): Host {
  const url = new URL(withScheme(address))
  const tls = tlsOf(fields, from)
  const hasTls = fields.ca.length > 0 || fields.client.length > 0 || fields.skipVerify
  const fallsBack = url.protocol === 'http:' && hasTls && url.port !== ''
  const schemes: Host['schemes'] = fallsBack ? ['https', 'http'] : url.protocol === 'http:' ? ['http'] : ['https']
  const path = pathOf(url, fields.overridePath)
  const named = isSameRegistry(url.host, from.registry) && (as === 'server' || path === '/v2')
  return { ...base(url.host, named, fields, from), schemes, path, tls }
}

function pathOf(url: URL, override: boolean): string {
  const path = url.pathname === '/' ? '' : posix.normalize(url.pathname).replace(/\/$/, '')
  return override || path.endsWith('/v2') ? path : `${path}/v2`
}

function base(
  name: string,
  named: boolean,
  fields: HostFields,
  { registry, connectTimeoutMs }: Source,
): Omit<Host, 'schemes' | 'path' | 'tls'> {
  return {
    name,
    named,
    namespace: named ? undefined : registry,
    capabilities: fields.capabilities === undefined ? ALL : new Set(fields.capabilities),
    headers: fields.headers,
    dialTimeoutMs: fields.dialTimeoutMs ?? connectTimeoutMs,
  }
}

const tlsOf = (fields: HostFields, { dir }: Source): TlsSettings => readTls(fields, { dir, file: hostsFileIn(dir) })
