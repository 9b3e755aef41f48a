/** How registries are reached: which files say it on this node, each read as a pull would read it. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, failureOf } from '../failure/failure.ts'
import { DIAL_TIMEOUT_MS, type Host, hostsOf } from '../registry/hosts.ts'
import { inlineHosts } from '../registry/inline.ts'
import type { Places } from '../registry/places.ts'
import { readRegistriesConf } from '../registry/registries-conf.ts'
import { bad, type Finding, ok } from './finding.ts'

/** Stands for a registry that nothing names. */
const ANY = 'registry.example'

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
    ...(registriesConf === undefined ? [] : [await registriesConfFinding(registriesConf, hostsDir)]),
  ]
}

/** `hostsDir` are directories with colons between them. */
async function hostsTomlFindings(hostsDir: string): Promise<readonly Finding[]> {
  const names = new Set(hostsDir.split(':').flatMap(namesIn))
  if (names.size === 0) return [ok('registries', `no hosts.toml files below ${hostsDir}`)]
  // `host_5000_` is how containerd names a directory for host:5000 where colons are not wanted.
  return await Promise.all(
    [...names].map((name) =>
      finding(name, () => hostsOf(name === '_default' ? ANY : name.replace(/^(.*)_(\d+)_$/, '$1:$2'), hostsDir)),
    ),
  )
}

async function registriesConfFinding(file: string, hostsDir: string | undefined): Promise<Finding> {
  try {
    const entries = await readRegistriesConf(file)
    const others = hostsDir === undefined ? 'registries' : 'registries without a directory of hosts.toml'
    const said = entries.map(({ prefix, blocked, mirrors, own }) => {
      const hosts = [...mirrors.map(({ location }) => location), own.location === '' ? 'itself' : own.location]
      return `${prefix}: ${blocked ? 'blocked' : hosts.join(', then ')}`
    })
    return ok(
      'registries',
      `${others} go by ${file}: ${said.length === 0 ? 'it names none, so they are asked directly' : said.join('; ')}`,
    )
  } catch (error) {
    return bad('registries', describe(failureOf(error)))
  }
}

async function finding(what: string, hosts: () => readonly Host[] | Promise<readonly Host[]>): Promise<Finding> {
  try {
    return ok('registries', `${what}: ${(await hosts()).map(({ name }) => name).join(', then ')}`)
  } catch (error) {
    return bad('registries', `${what}: ${describe(failureOf(error))}`)
  }
}

function namesIn(root: string): readonly string[] {
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) return []
  return readdirSync(root).filter((name) => statSync(join(root, name), { throwIfNoEntry: false })?.isDirectory() === true)
}
