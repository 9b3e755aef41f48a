/**
 * Which of a node's configurations describes a registry. One does, never two of them mixed:
 *
 *     containerd's own mirrors, where they are given (it has no config_path then): they are for all registries
 *     a directory of certs.d for this registry, or for all (hosts.ts)
 *     the entry of registries.conf with the longest prefix (registries-hosts.ts)
 *     else the registry itself is asked, with the certificates that CRI-O and podman would take
 */
import { dirname, join } from 'node:path'
import type { Reference } from '../reference/reference.ts'
import { DIAL_TIMEOUT_MS, type Host, hostsOf, isDescribed, type Odd } from './hosts.ts'
import { type InlineRegistries, inlineHosts } from './inline.ts'
import { registriesHosts } from './registries-hosts.ts'
import { DEFAULT_HOSTS_DIR } from './registry.ts'

export type Places = {
  /** Colon-separated certs.d directories. */
  readonly hostsDir?: string
  /** Its drop-ins are in the directory of the same name with `.d`, certificates in `certs.d` beside it. */
  readonly registriesConf?: string
  readonly inline?: InlineRegistries
  /** For every host, beside its own: what containerd sends whichever way it finds them. Names in lower case. */
  readonly headers?: Readonly<Record<string, readonly string[]>>
}

/** The runtime whose images these are, and what it says of registries. */
export type PulledFor = {
  readonly address: { readonly kind: 'containerd' | 'crio' }
  readonly facts: { readonly hostsDir?: string; readonly registries?: InlineRegistries }
}

/** A node goes by what its runtime goes by, and by what our own configuration names beside or in place of it. */
export function placesFor(
  { configPath, registriesConf }: { readonly configPath: string; readonly registriesConf: string },
  runtime: PulledFor | undefined,
): Places {
  const isDefault = configPath === DEFAULT_HOSTS_DIR
  if (runtime === undefined) return { hostsDir: configPath, registriesConf }
  // A node may have had containerd before; what is left of that does not bind CRI-O.
  if (runtime.address.kind === 'crio') return isDefault ? { registriesConf } : { hostsDir: configPath, registriesConf }
  const { hostsDir = configPath, registries } = runtime.facts
  if (!isDefault) return { hostsDir: configPath }
  const isInline = runtime.facts.hostsDir === undefined && registries !== undefined && describesHosts(registries)
  if (isInline) return { inline: registries }
  const isSending = Object.keys(registries?.headers ?? {}).length > 0
  return { hostsDir, ...(isSending && registries ? { headers: registries.headers } : {}) }
}

/** Logins alone say nothing of where to go. */
const describesHosts = ({ mirrors, tls, headers }: InlineRegistries): boolean =>
  [mirrors, tls, headers].some((table) => Object.keys(table).length > 0)

/** Docker's directory of certificates, which CRI-O and podman read too (containers-certs.d(5)). */
const DOCKER_CERTS = '/etc/docker/certs.d'

/** Read anew on each call. `odd` is told of keys in hosts.toml that nobody knows. Throws bad-config; invalid-argument for what is blocked. */
export async function hostsFor(
  reference: Reference,
  places: Places,
  dialTimeoutMs = DIAL_TIMEOUT_MS,
  odd: Odd = () => {},
): Promise<Host[]> {
  const { registry } = reference
  const { hostsDir, registriesConf, inline, headers = {} } = places
  if (inline !== undefined) return inlineHosts(registry, inline, dialTimeoutMs)
  if (registriesConf === undefined || (await isDescribed(registry, hostsDir))) {
    const hosts = await hostsOf(registry, hostsDir, dialTimeoutMs, odd)
    return hosts.map((host) => ({ ...host, headers: both(headers, host.headers) }))
  }
  const certs = [join(dirname(registriesConf), 'certs.d'), DOCKER_CERTS]
  const hosts = await registriesHosts(reference, registriesConf, certs, dialTimeoutMs)
  return hosts ?? (await hostsOf(registry, certs.join(':'), dialTimeoutMs))
}

type Headers = Host['headers']

/** Of a name that is in both, all values, as containerd sends them. */
const both = (ours: Headers, others: Headers): Headers => ({
  ...ours,
  ...Object.fromEntries(Object.entries(others).map(([name, values]) => [name, [...(ours[name] ?? []), ...values]])),
})
