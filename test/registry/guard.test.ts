/** Names that a registry gives us, and the addresses behind them: a name is its owner's, who may point it at this node. */
import dns from 'node:dns'
import { afterEach, expect, it, vi } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import { aManifest, certsDir, failureFrom, newClient, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'

/** What the names of these tests resolve to, in turn; the last answer stays. */
function resolving(names: Readonly<Record<string, readonly string[]>>): void {
  const left = new Map(Object.entries(names).map(([name, answers]) => [name, [...answers]]))
  vi.spyOn(dns, 'lookup').mockImplementation(((
    name: string,
    options: dns.LookupOptions,
    callback: (...words: unknown[]) => void,
  ) => {
    const answers = left.get(name) ?? []
    const address = answers.length > 1 ? answers.shift() : answers[0]
    if (address === undefined) return callback(Object.assign(new Error(`no ${name}`), { code: 'ENOTFOUND' }))
    const family = address.includes(':') ? 6 : 4
    if (options.all === true) callback(null, [{ address, family }])
    else callback(null, address, family)
  }) as typeof dns.lookup)
}
afterEach(() => vi.restoreAllMocks())

const port = (host: string): string => host.split(':')[1] ?? ''

it.each([
  ...['169.254.169.254', 'fe80::1', 'fe80::1%1', '0.0.0.0', '::', '127.0.0.1', '::1', '::ffff:169.254.169.254', '::a9fe:a9fe'],
  ...['100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:ec2::254', 'fd20:ce::254'],
  ...['64:ff9b::a9fe:a9fe', '64:ff9b:1::7f00:1', '2002:a9fe:a9fe::', '::ffff:7f00:1'],
])('a token realm whose name is %s is not asked', async (address) => {
  await using registry = await startRegistry({ auth: { kind: 'bearer', realm: 'http://auth.test:1/token' } })
  resolving({ 'registry.test': ['127.0.0.1'], 'auth.test': [address] })
  using dir = certsDir({ '_default/hosts.toml': `server = "http://registry.test:${port(registry.host)}"` })
  await using client = newClient({ hostsDir: dir.path })
  const failure = await failureFrom(client.open('registry.test').resolve({ signal: signal() }), 'malformed')
  expect(failure.reason).toContain(`auth.test is ${address}`)
})

it('a redirect by a name that changes its address between two looks is judged by the address that is connected to', async () => {
  await using registry = await startRegistry()
  registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  await using elsewhere = await startRegistry()
  registry.fault = () => ({ kind: 'redirect', location: `http://storage.test:${port(elsewhere.host)}/x` })
  resolving({ 'registry.test': ['127.0.0.1'], 'storage.test': ['127.0.0.1', '203.0.113.1'] })
  using dir = certsDir({ '_default/hosts.toml': `server = "http://registry.test:${port(registry.host)}"` })
  await using client = newClient({ hostsDir: dir.path })
  const failure = await failureFrom(client.open('registry.test').resolve({ signal: signal() }), 'malformed')
  expect(failure.reason).toContain('storage.test is 127.0.0.1')
  expect(elsewhere.requests).toEqual([])
})

it('another registry that a redirect leads to is looked at again for its token', async () => {
  await using other = await startRegistry()
  const realm = `http://other.test:${port(other.host)}/token`
  other.fault = () => ({
    kind: 'status',
    status: 401,
    headers: { 'www-authenticate': `Bearer realm="${realm}"`, connection: 'close' },
  })
  await using registry = await startRegistry({
    fault: () => ({ kind: 'redirect', location: `http://other.test:${port(other.host)}/x` }),
  })
  resolving({ 'other.test': ['127.0.0.1', '169.254.169.254'] })
  await using client = newClient()
  const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'malformed')
  expect(failure.reason).toContain('other.test is 169.254.169.254')
  expect(other.requests).toHaveLength(1)
})

it('a registry that its own configuration puts on this node may be there, and so may its own name’s other ports', async () => {
  await using tokens = await startRegistry({ auth: { kind: 'bearer' } })
  const realm = `http://registry.test:${port(tokens.host)}/token`
  await using registry = await startRegistry({ auth: { kind: 'bearer', realm } })
  registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  resolving({ 'registry.test': ['127.0.0.1'] })
  using dir = certsDir({ '_default/hosts.toml': `server = "http://registry.test:${port(registry.host)}"` })
  await using client = newClient({ hostsDir: dir.path })
  await failureFrom(client.open('registry.test').resolve({ signal: signal() }), 'denied')
  // Two refusals: one before a token, and one of another server's.
  expect(tokens.count('GET', '/token')).toBeGreaterThan(0)
})
