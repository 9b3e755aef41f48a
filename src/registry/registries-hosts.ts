/** The hosts of a reference as registries.conf has them: the mirrors of the longest prefix that fits, then the registry's own location. */
import { join } from 'node:path'
import { fail } from '../failure/failure.ts'
import { formatReference, formatRepository } from '../reference/parse.ts'
import type { Reference } from '../reference/reference.ts'
import { hostName, isSameRegistry, registryName } from '../reference/registry-name.ts'
import { ALL, dockerLayout, type Host, ownName } from './hosts.ts'
import { type Endpoint, type RegistryEntry, readRegistriesConf } from './registries-conf.ts'
import { readTls, type TlsSettings } from './tls-files.ts'

/**
 * Undefined where no entry is for it. `certs` are directories of certificates in docker's layout. Throws bad-config; invalid-argument
 * where the entry blocks it.
 */
export async function registriesHosts(
  reference: Reference,
  file: string,
  certs: readonly string[],
  dialTimeoutMs: number,
): Promise<Host[] | undefined> {
  const entry = entryFor(reference, await readRegistriesConf(file))
  if (entry === undefined) return undefined
  const { mirrors, own, prefix, blocked } = entry
  if (blocked) {
    const reason = `${prefix} is blocked in ${entry.file}; take it from another registry, or change that entry`
    fail({ kind: 'invalid-argument', what: `image ${formatReference(reference)}`, reason })
  }
  const kind = reference.digest === undefined ? 'tag-only' : 'digest-only'
  const asked: readonly Endpoint[] = [...mirrors.filter(({ pulls }) => pulls === 'all' || pulls === kind), own]
  return await Promise.all(asked.map((endpoint) => hostAt(endpoint, reference, entry, certs, dialTimeoutMs)))
}

async function hostAt(
  endpoint: Endpoint,
  reference: Reference,
  entry: RegistryEntry,
  certs: readonly string[],
  dialTimeoutMs: number,
): Promise<Host> {
  const { location, insecure } = endpoint
  const { registry, repository } = moved(reference, entry.prefix, location)
  if (repository === '') {
    const reason = `the location ${location} leaves no repository of ${formatReference(reference)}: write one behind its host`
    fail({ kind: 'bad-config', file: entry.file, field: `registry ${entry.prefix}`, reason })
  }
  const name = ownName(registry)
  const { ca, clients } = await certificates(registry, certs)
  return {
    name,
    // Insecure is both: a certificate nobody vouches for, and none at all.
    schemes: insecure ? ['https', 'http'] : ['https'],
    isInsecure: insecure,
    path: '/v2',
    repository,
    capabilities: ALL,
    named: isSameRegistry(registry, reference.registry) && (endpoint === entry.own || repository === reference.repository),
    // A mirror of this kind knows a repository by its location alone.
    namespace: undefined,
    headers: {},
    tls: { ca, clients, skipVerify: insecure },
    dialTimeoutMs,
  }
}

/**
 * The entry with the longest prefix that fits, however host and port are spelt; the wire's own forms count as well, as `library/` of
 * Docker Hub does.
 */
export function entryFor(reference: Reference, entries: readonly RegistryEntry[]): RegistryEntry | undefined {
  const name = formatReference(reference)
  return entries
    .flatMap((entry) => {
      const rest = behind(name, entry.prefix)
      return rest === undefined ? [] : [{ entry, left: rest.length }]
    })
    .toSorted((a, b) => a.left - b.left || b.entry.prefix.length - a.entry.prefix.length)[0]?.entry
}

/** What of `name` comes after what the prefix covers, which ends where a part of the name does; undefined where it does not fit. */
function behind(name: string, prefix: string): string | undefined {
  if (prefix.startsWith('*.')) {
    const spelt = withHost(name, hostName)
    const suffix = prefix.slice(1).toLowerCase()
    const at = spelt.slice(0, spelt.indexOf('/')).indexOf(suffix)
    return at < 1 ? undefined : wholeParts(spelt.slice(at + suffix.length))
  }
  const [spelt, covered] = [withHost(name, registryName), withHost(prefix, registryName)]
  return spelt.startsWith(covered) ? wholeParts(spelt.slice(covered.length)) : undefined
}

const wholeParts = (rest: string): string | undefined => (/^(?:[:/@]|$)/.test(rest) ? rest : undefined)

const withHost = (name: string, spelling: (host: string) => string): string => name.replace(/^[^/]*/, (host) => spelling(host))

/** The reference with `location` in place of what the prefix covers; an empty one leaves it as it is. */
function moved(reference: Reference, prefix: string, location: string): Pick<Reference, 'registry' | 'repository'> {
  if (location === '') return reference
  const [registry = '', ...path] = `${location}${behind(formatRepository(reference), prefix) ?? ''}`.split('/')
  return { registry, repository: path.join('/') }
}

/** Of the first directory that has some for this host. */
async function certificates(registry: string, certs: readonly string[]): Promise<Pick<TlsSettings, 'ca' | 'clients'>> {
  for (const root of certs) {
    const dir = join(root, registry)
    const files = await dockerLayout(dir)
    if (files.ca.length + files.client.length > 0) return readTls({ ...files, skipVerify: false }, { dir, file: dir })
  }
  return { ca: [], clients: [] }
}
