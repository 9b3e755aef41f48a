/**
 * Where a registry may send us. Both a token realm and a redirect are addresses chosen by whoever answers, and this process runs on a
 * node whose metadata service and local daemons trust it.
 */
import dns from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')
// Link-local, "this host", and where clouds keep their metadata services.
const local = new BlockList()
local.addSubnet('169.254.0.0', 16)
local.addSubnet('0.0.0.0', 8)
local.addSubnet('fe80::', 10, 'ipv6')
local.addAddress('::', 'ipv6')
local.addAddress('fd00:ec2::254', 'ipv6') // AWS
local.addAddress('fd20:ce::254', 'ipv6') // Google
local.addAddress('168.63.129.16') // Azure
local.addAddress('100.100.100.200') // Alibaba
local.addAddress('192.0.0.192') // Oracle
const privateNetworks = new BlockList()
privateNetworks.addSubnet('10.0.0.0', 8)
privateNetworks.addSubnet('172.16.0.0', 12)
privateNetworks.addSubnet('192.168.0.0', 16)
privateNetworks.addSubnet('100.64.0.0', 10)
privateNetworks.addSubnet('fc00::', 7, 'ipv6')
privateNetworks.addSubnet('fec0::', 10, 'ipv6')

/** How near to this node an address is; a name counts as public: it is resolved by the node's owner, not by the registry. */
type Reach = 'local' | 'loopback' | 'private' | 'public'

function reachOf(url: URL): Reach {
  // A name may end in a dot, for the root of all names.
  const host = url.hostname.replace(/^\[|\]$|\.$/g, '')
  return host === 'localhost' || host.endsWith('.localhost') ? 'loopback' : reachOfAddress(host)
}

function reachOfAddress(host: string): Reach {
  const address = host.replace(/%.*$/, '')
  const family = isIP(address)
  if (family === 0) return 'public'
  const type = family === 6 ? 'ipv6' : 'ipv4'
  if (local.check(address, type)) return 'local'
  if (loopback.check(address, type)) return 'loopback'
  if (privateNetworks.check(address, type)) return 'private'
  const within = family === 6 ? ipv4In(address) : undefined
  return within === undefined ? 'public' : reachOfAddress(within)
}

/** The IPv4 address that an IPv6 one leads to: NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), mapped or compatible (RFC 4291 §2.5.5). */
function ipv4In(address: string): string | undefined {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groupsOf(address)
  const ipv4 = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join('.')
  if (a === 0x2002) return ipv4(b, c)
  const isNat64 = a === 0x64 && b === 0xff9b
  const isBelow96 = [a, b, c, d, e].every((group) => group === 0) && (f === 0 || f === 0xffff)
  return isNat64 || isBelow96 ? ipv4(g, h) : undefined
}

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const [before = [], after = []] = new URL(`http://[${address}]`).hostname
    .replace(/[[\]]/g, '')
    .split('::')
    .map((half) => half.split(':').flatMap((group) => (group === '' ? [] : [Number.parseInt(group, 16)])))
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
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
  return `${target.host} is a ${reach === 'local' ? 'link-local address, or one of a cloud’s metadata' : `${reach} address`}`
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
