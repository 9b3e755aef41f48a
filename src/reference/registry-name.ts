/** Names of registries, of which some are several of one. */

/** As people write it. */
export const DOCKER_HUB = 'docker.io'
/** Where it is asked. */
export const DOCKER_HUB_HOST = 'registry-1.docker.io'
const NAMES: ReadonlySet<string> = new Set([DOCKER_HUB, DOCKER_HUB_HOST, 'index.docker.io'])

/** One spelling of `host` or `host:port`: hosts know no case, ports no leading zeros, and 443 is what none means. */
export function hostName(registry: string): string {
  const address = `https://${registry}`
  return URL.canParse(address) ? new URL(address).host : registry.toLowerCase()
}

/** The one name to compare a registry by. */
export function registryName(registry: string): string {
  const name = hostName(registry)
  return NAMES.has(name) ? DOCKER_HUB : name
}

export const isSameRegistry = (one: string, other: string): boolean => registryName(one) === registryName(other)

/** Whether a host, in whichever of its spellings, is Docker Hub's. */
export const isDockerHub = (registry: string): boolean => registryName(registry) === DOCKER_HUB
