/** The hosts.toml files: each is read as a pull would read it. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, failureOf } from '../failure/failure.ts'
import { hostsOf } from '../registry/hosts.ts'
import { bad, type Finding, ok } from './finding.ts'

/** `configPath` are directories with colons between them. */
export async function registryFindings(configPath: string): Promise<readonly Finding[]> {
  const names = new Set(configPath.split(':').flatMap(namesIn))
  if (names.size === 0) return [ok('registries', `no hosts.toml files below ${configPath}: registries are asked directly`)]
  return await Promise.all([...names].map((name) => registryFinding(name, configPath)))
}

async function registryFinding(name: string, configPath: string): Promise<Finding> {
  // `host_5000_` is how containerd names a directory for host:5000 where colons are not wanted.
  const registry = name === '_default' ? 'registry.example' : name.replace(/^(.*)_(\d+)_$/, '$1:$2')
  try {
    const hosts = await hostsOf(registry, configPath)
    return ok('registries', `${name}: ${hosts.map((host) => host.name).join(', then ')}`)
  } catch (error) {
    return bad('registries', `${name}: ${describe(failureOf(error))}`)
  }
}

function namesIn(root: string): readonly string[] {
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) return []
  return readdirSync(root).filter((name) => statSync(join(root, name), { throwIfNoEntry: false })?.isDirectory() === true)
}
