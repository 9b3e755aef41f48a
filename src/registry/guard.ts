/**
 * Where a registry may send us. Both a token realm and a redirect are addresses chosen by whoever answers, and this process runs on a
 * node whose metadata service and local daemons trust it.
 */
import dns from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')
// Link-local (where clouds keep their metadata services) and "this host".
const local = new BlockList()
local.addSubnet('169.254.0.0', 16)
local.addSubnet('0.0.0.0', 8)
local.addSubnet('fe80::', 10, 'ipv6')
local.addAddress('::', 'ipv6')
local.addAddress('fd00:ec2::254', 'ipv6')
const privateNetworks = new BlockList()
privateNetworks.addSubnet('10.0.0.0', 8)
privateNetworks.addSubnet('172.16.0.0', 12)
privateNetworks.addSubnet('192.168.0.0', 16)
privateNetworks.addSubnet('100.64.0.0', 10)
privateNetworks.addSubnet('fc00::', 7, 'ipv6')

/** How near to this node an address is; a name counts as public: it is resolved by the node's owner, not by the registry. */
type Reach = 'local' | 'loopback' | 'private' | 'public'

function reachOf(url: URL): Reach {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return host === 'localhost' || host.endsWith('.localhost') ? 'loopback' : reachOfAddress(host)
}

function reachOfAddress(host: string): Reach {
  const family = isIP(host)
  if (family === 0) return 'public'
  // BlockList sees through IPv4-mapped IPv6 addresses.
  const type = family === 6 ? 'ipv6' : 'ipv4'
  if (local.check(host, type)) return 'local'
  if (loopback.check(host, type)) return 'loopback'
  return privateNetworks.check(host, type) ? 'private' : 'public'
}

/** Why `target`, named by an answer of `registry`, must not be asked; undefined where it may. */
export function forbiddenTarget(target: URL, registry: URL): string | undefined {
  if (target.protocol !== 'https:' && target.protocol !== 'http:') return `${target.protocol} is not http or https`
  if (target.protocol === 'http:' && registry.protocol === 'https:')
    return `${target.host} is plain http, and the registry is not`
  if (target.username !== '' || target.password !== '') return `the address of ${target.host} carries credentials`
  const reach = reachOf(target)
  if (reach === 'public' || target.hostname === registry.hostname || (reach !== 'local' && reach === reachOf(registry)))
    return undefined
  return `${target.host} is a ${reach === 'local' ? 'link-local' : reach} address`
}

/** What names may not stand for that a registry gives: `local` addresses never; those of this machine unless the registry is on it. */
export type Kept = 'local' | 'local-and-loopback'

export const keptFrom = (registry: URL): Kept => (reachOf(registry) === 'loopback' ? 'local' : 'local-and-loopback')

export class ForbiddenAddress extends Error {}

/** As `dns.lookup`, for the names of redirects and token realms: who owns a name chooses its address, and may choose anew each time. */
export const guardedLookup =
  (kept: Kept): LookupFunction =>
  (hostname, options, callback) => {
    dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const bad = addresses.find(({ address }) => isKept(reachOfAddress(address), kept))
      if (bad !== undefined)
        return callback(new ForbiddenAddress(`${hostname} is ${bad.address}, an address of this node's own`), [])
      const [first] = addresses
      if (options.all === true) callback(null, addresses)
      else callback(null, first?.address ?? '', first?.family)
    })
  }

const isKept = (reach: Reach, kept: Kept): boolean => reach === 'local' || (reach === 'loopback' && kept === 'local-and-loopback')
