/** How registries are reached: which files say it on this node, each read as a pull would read it. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, failureOf } from '../failure/failure.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import { DIAL_TIMEOUT_MS, type Host, hostsOf } from '../registry/hosts.ts'
import type { UnknownKey } from '../registry/hosts-toml.ts'
import { inlineHosts } from '../registry/inline.ts'
import type { Places } from '../registry/places.ts'
import { readRegistriesConf, readShortNames, type ShortNames } from '../registry/registries-conf.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

/** Stands for a registry that nothing names. */
const ANY = 'registry.example'
const HUB = 'docker.io'
const ALIASES_SHOWN = 3

export async function registryFindings({ hostsDir, registriesConf, inline }: Places): Promise<readonly Finding[]> {
  if (inline !== undefined) {
    const named = Object.keys(inline.mirrors).filter((name) => name !== '*')
    return await Promise.all(
      [...named, ANY].map((registry) =>
        finding(`${registry === ANY ? 'any other' : registry}, by ${inline.file}`, () =>
          inlineHosts(registry, inline, DIAL_TIMEOUT_MS),
        ),
      ),
    )
  }
  return [
    ...(hostsDir === undefined ? [] : await hostsTomlFindings(hostsDir)),
    ...(registriesConf === undefined ? [] : await registriesConfFindings(registriesConf, hostsDir)),
  ]
}

/** `hostsDir` are directories with colons between them. */
async function hostsTomlFindings(hostsDir: string): Promise<readonly Finding[]> {
  const names = new Set(hostsDir.split(':').flatMap(namesIn))
  if (names.size === 0) return [ok('registries', `no hosts.toml files below ${hostsDir}`)]
  return (await Promise.all([...names].map((name) => directoryFindings(name, hostsDir)))).flat()
}

async function directoryFindings(name: string, hostsDir: string): Promise<readonly Finding[]> {
  // `host_5000_` is how containerd names a directory for host:5000 where colons are not wanted.
  const registry = name === '_default' ? ANY : name.replace(/^(.*)_(\d+)_$/, '$1:$2')
  const odd: Finding[] = []
  const hosts = (): Promise<readonly Host[]> =>
    hostsOf(registry, hostsDir, DIAL_TIMEOUT_MS, (file, keys) => odd.push(...keys.map((key) => unknownKey(file, key))))
  return [await finding(name, hosts), ...odd]
}

function unknownKey(file: string, { key, line, meant }: UnknownKey): Finding {
  const where = line === undefined ? file : `${file}:${line}`
  const instead = meant === undefined ? '' : `; perhaps ${meant} is meant`
  return warn('registries', `${where}: ${key}: unknown key, passed over here and by containerd${instead}`)
}

async function registriesConfFindings(file: string, hostsDir: string | undefined): Promise<readonly Finding[]> {
  try {
    const entries = await readRegistriesConf(file)
    const others = hostsDir === undefined ? 'registries' : 'registries without a directory of hosts.toml'
    const said = entries.map(({ prefix, blocked, mirrors, own }) => {
      const hosts = [...mirrors.map(({ location }) => location), own.location === '' ? 'itself' : own.location]
      return `${prefix}: ${blocked ? 'blocked' : hosts.join(', then ')}`
    })
    const text = `${others} go by ${file}: ${said.length === 0 ? 'it names none, so they are asked directly' : said.join('; ')}`
    return [ok('registries', text), ...shortNameFindings(await readShortNames(file), file)]
  } catch (error) {
    return [bad('registries', describe(failureOf(error)))]
  }
}

/** A pod's `app:v1` is one image to who goes by these, and may be another to us. */
function shortNameFindings({ search, aliases }: ShortNames, file: string): readonly Finding[] {
  const elsewhere = search.filter((registry) => registry !== HUB)
  const others = Object.entries(aliases).filter(([name, long]) => parsed(name) !== parsed(long))
  if (elsewhere.length === 0 && others.length === 0) return []
  const named = others.slice(0, ALIASES_SHOWN).map(([name, long]) => `${name} for ${long}`)
  const more = others.length > ALIASES_SHOWN ? [`${others.length - ALIASES_SHOWN} more aliases`] : []
  const found = [...elsewhere.map((registry) => `any for ${registry}`), ...named, ...more].join(', ')
  const text = `CRI-O takes short names by ${file} (${found}), and windlass takes each from ${HUB}: write whole names in pods`
  return [warn('registries', text)]
}

/** Undefined: no name at all, which stands for nothing. */
function parsed(name: string): string | undefined {
  try {
    return formatReference(parseReference(name))
  } catch {
    return undefined
  }
}

async function finding(what: string, hosts: () => readonly Host[] | Promise<readonly Host[]>): Promise<Finding> {
  try {
    return ok('registries', `${what}: ${(await hosts()).map(addressOf).join(', then ')}`)
  } catch (error) {
    return bad('registries', `${what}: ${describe(failureOf(error))}`)
  }
}

/** As it is asked; below `/v2` nobody needs to be told. */
function addressOf({ name, schemes, path }: Host): string {
  const below = path === '/v2' ? '' : path
  return schemes.map((scheme) => `${scheme}://${name}${below}`).join(' or ')
}

function namesIn(root: string): readonly string[] {
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) return []
  return readdirSync(root).filter((name) => statSync(join(root, name), { throwIfNoEntry: false })?.isDirectory() === true)
}
