import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { hostsOf } from '../../src/registry/hosts.ts'
import { parseHostsToml } from '../../src/registry/hosts-toml.ts'
import { hasOpenssl, makeCertificates } from './certificates.ts'
import { certsDir, failureFrom } from './client-under-test.ts'

const PEM = '-----BEGIN CERTIFICATE-----'

const names = async (registry: string, dir?: string) =>
  (await hostsOf(registry, dir)).map(({ schemes, name, path }) => `${schemes.join('|')}://${name}${path}`)

describe('a registry without configuration', () => {
  it.each([
    ['docker.io', 'https://registry-1.docker.io/v2'],
    ['registry.example', 'https://registry.example/v2'],
    ['registry.example:5000', 'https://registry.example:5000/v2'],
    ['localhost', 'https://localhost/v2'],
    ['localhost:443', 'https://localhost:443/v2'],
    ['localhost:80', 'http://localhost:80/v2'],
    ['localhost:5000', 'https|http://localhost:5000/v2'],
    ['127.0.0.1:5000', 'https|http://127.0.0.1:5000/v2'],
    ['[::1]:5000', 'https|http://[::1]:5000/v2'],
    ['127.example:5000', 'https://127.example:5000/v2'],
  ])('%s is asked at %s', async (registry, expected) => {
    expect(await names(registry)).toEqual([expected])
  })

  it('is not verified on loopback only', async () => {
    expect((await hostsOf('localhost:5000', undefined))[0]?.tls.skipVerify).toBe(true)
    expect((await hostsOf('registry.example', undefined))[0]?.tls.skipVerify).toBe(false)
  })
})

describe('hosts.toml', () => {
  const toml = `
server = "https://upstream.example"
ca = "root.pem"
[host."https://b.example:8443"]
  capabilities = ["pull"]
  dial_timeout = "1m30s"
  [host."https://b.example:8443".header]
    X-Team = ["a", "b"]
[host."a.example/cache"]
  override_path = true
[host."http://c.example:5000/deep/"]
`

  it('gives the mirrors in the order of the file, the server last', async () => {
    using dir = certsDir({ 'docker.io/hosts.toml': toml, 'docker.io/root.pem': PEM })
    const hosts = await hostsOf('docker.io', dir.path)
    expect(hosts.map(({ schemes, name, path }) => `${schemes[0]}://${name}${path}`)).toEqual([
      'https://b.example:8443/v2',
      'https://a.example/cache',
      'http://c.example:5000/deep/v2',
      'https://upstream.example/v2',
    ])
    expect(hosts.map(({ namespace, named }) => ({ namespace, named }))).toEqual(
      hosts.map(() => ({ namespace: 'docker.io', named: false })),
    )
    expect([...(hosts[0]?.capabilities ?? [])]).toEqual(['pull'])
    expect(hosts[0]?.dialTimeoutMs).toBe(90_000)
    expect(hosts[0]?.headers).toEqual({ 'x-team': ['a', 'b'] })
    expect(hosts[3]?.tls.ca).toEqual([PEM])
    expect(hosts[0]?.tls.ca).toEqual([])
  })

  it('waits for a connection no longer than a timer can', async () => {
    using dir = certsDir({ '_default/hosts.toml': 'dial_timeout = "1000h"' })
    expect((await hostsOf('r.example', dir.path)).map(({ dialTimeoutMs }) => dialTimeoutMs)).toEqual([2 ** 31 - 1])
  })

  it('without a server ends at the registry itself, with all capabilities and the root fields', async () => {
    using dir = certsDir({ 'docker.io/hosts.toml': 'skip_verify = true\ncapabilities = ["pull"]\n[host."https://m.example"]' })
    const own = (await hostsOf('docker.io', dir.path)).at(-1)
    expect(own).toMatchObject({ name: 'registry-1.docker.io', named: true, namespace: undefined, tls: { skipVerify: true } })
    expect(own?.capabilities.has('resolve')).toBe(true)
  })

  it('knows the registry itself by another spelling, as hosts have many', async () => {
    using dir = certsDir({ '_default/hosts.toml': 'server = "https://r.example:0443"' })
    for (const registry of ['r.example', 'R.example', 'r.example:443'])
      expect((await hostsOf(registry, dir.path)).map(({ named }) => named)).toEqual([true])
    expect((await hostsOf('r.example:5000', dir.path)).map(({ named }) => named)).toEqual([false])
  })

  it('takes other paths of the registry’s own host for mirrors, but not where it says that the registry itself is there', async () => {
    const named = async (toml: string) => {
      using dir = certsDir({ 'r.example/hosts.toml': toml })
      return (await hostsOf('r.example', dir.path)).map(({ path, named, namespace }) => [path, named, namespace])
    }
    const mirror = '[host."https://r.example/cache/v2"]\noverride_path = true\n'
    expect(await named(`${mirror}[host."https://r.example"]\n`)).toEqual([
      ['/cache/v2', false, 'r.example'],
      ['/v2', true, undefined],
      ['/v2', true, undefined],
    ])
    expect(await named(`server = "https://r.example/own/v2"\noverride_path = true\n${mirror}`)).toEqual([
      ['/cache/v2', false, 'r.example'],
      ['/own/v2', true, undefined],
    ])
  })

  it('falls back to HTTP only where an http host has TLS settings and a port other than 80', async () => {
    using dir = certsDir({
      'r.example/hosts.toml':
        '[host."http://a:5000"]\nskip_verify=true\n[host."http://b"]\nskip_verify=true\n[host."http://c:5000"]',
    })
    expect(await names('r.example', dir.path)).toEqual([
      'https|http://a:5000/v2',
      'http://b/v2',
      'http://c:5000/v2',
      'https://r.example/v2',
    ])
  })

  it('is searched as host_port_, host:port, _default, root by root, and not merged', async () => {
    using first = certsDir({ '_default/hosts.toml': 'server = "https://default.example"' })
    using second = certsDir({
      'r.example_5000_/hosts.toml': 'server = "https://escaped.example"',
      'r.example:5000/hosts.toml': 'server = "https://plain.example"',
      'other:1/hosts.toml': 'server = "https://colon.example"',
    })
    expect(await names('r.example:5000', second.path)).toEqual(['https://escaped.example/v2'])
    expect(await names('other:1', second.path)).toEqual(['https://colon.example/v2'])
    expect(await names('r.example:5000', `/no/such/dir:${first.path}:${second.path}`)).toEqual(['https://default.example/v2'])
    expect(await names('unknown.example', second.path)).toEqual(['https://unknown.example/v2'])
  })

  it('is read anew each time', async () => {
    using dir = certsDir({ 'r.example/hosts.toml': 'server = "https://one.example"' })
    expect(await names('r.example', dir.path)).toEqual(['https://one.example/v2'])
    using other = certsDir({ 'r.example/hosts.toml': 'server = "https://two.example"' })
    expect(await names('r.example', other.path)).toEqual(['https://two.example/v2'])
  })

  it.skipIf(!hasOpenssl)('that is empty or absent leaves docker’s layout of certificates', async () => {
    const { ca, client } = makeCertificates()
    for (const toml of [{ 'r.example/hosts.toml': ' \n' }, {}]) {
      using dir = certsDir({ ...toml, 'r.example/a.crt': ca, 'r.example/c.cert': client.cert, 'r.example/c.key': client.key })
      const [own] = await hostsOf('r.example', dir.path)
      expect(own?.tls).toEqual({ ca: [ca], clients: [client], skipVerify: false })
    }
  })

  it('takes client certificates in its three forms', () => {
    const forms = (text: string) => parseHostsToml(`client = ${text}`, 'f').root.client
    expect(forms('"one.pem"')).toEqual([{ cert: 'one.pem', key: 'one.pem' }])
    expect(forms('["one.pem", "two.pem"]')).toEqual([
      { cert: 'one.pem', key: 'one.pem' },
      { cert: 'two.pem', key: 'two.pem' },
    ])
    expect(forms('[["c", "k"], ["d", ""]]')).toEqual([
      { cert: 'c', key: 'k' },
      { cert: 'd', key: 'd' },
    ])
  })

  it.each([
    ['server = "https://x', 1, undefined],
    ['\n\nserver = 5', 3, 'server'],
    ['[header]\nX-Key = "canary\\nb"', undefined, 'header.X-Key'],
    ['[host."https://b".header]\nX-Key = ["a", "canary\u2028"]', 1, 'host.https://b.header.X-Key.1'],
    ['[header]\n"X Key" = "canary"', undefined, 'header.X Key'],
    ['[host."https://user:canary@b"]\ncapabilities = ["fly"]', 2, 'host.https://***@b.capabilities.0'],
    ['[host."user:canary@b"]\nskip_verify = 1', 2, 'host.***@b.skip_verify'],
    [
      '[host."https://a"]\ncapabilities = ["pull"]\n[host."https://b"]\n  capabilities = ["fly"]',
      4,
      'host.https://b.capabilities.0',
    ],
    ['ca = "x"\n[host."https://b"]\nskip_verify = "yes"', 3, 'host.https://b.skip_verify'],
    ['dial_timeout = "soon"', 1, 'dial_timeout'],
    ['[host."https://b"]\n\n[host."https://a b"]', 3, undefined],
  ])('that does not say what it must fails with its line: %j', async (text, line, field) => {
    using dir = certsDir({ 'r.example/hosts.toml': text })
    const failure = await failureFrom(hostsOf('r.example', dir.path), 'bad-config')
    expect(failure).toMatchObject({ file: `${dir.path}/r.example/hosts.toml`, ...(field === undefined ? {} : { field }) })
    expect(failure.line).toBe(line)
    expect(JSON.stringify(failure)).not.toContain('canary')
  })

  it('that names a file which is not there fails with that file', async () => {
    using dir = certsDir({ 'r.example/hosts.toml': 'ca = "gone.pem"' })
    const failure = await failureFrom(hostsOf('r.example', dir.path), 'bad-config')
    expect(failure).toMatchObject({ field: 'ca', reason: `cannot read ${dir.path}/r.example/gone.pem: there is no such file` })
  })

  it.each(['hosts.toml', 'ca.pem'])('whose %s is a FIFO, or endless, fails and is not waited for', async (name) => {
    for (const make of [(path: string) => execFileSync('mkfifo', [path]), (path: string) => symlinkSync('/dev/zero', path)]) {
      using dir = certsDir(name === 'ca.pem' ? { 'r.example/hosts.toml': 'ca = "ca.pem"' } : { 'r.example/other': '' })
      make(`${dir.path}/r.example/${name}`)
      const failure = await failureFrom(hostsOf('r.example', dir.path), 'bad-config')
      expect(failure).toMatchObject({ reason: expect.stringMatching(/it is a (FIFO|device), not a regular file$/) })
    }
  })

  it('of more than a MiB is not read', async () => {
    using dir = certsDir({ 'r.example/hosts.toml': '#'.repeat(2 ** 20 + 1) })
    const failure = await failureFrom(hostsOf('r.example', dir.path), 'bad-config')
    expect(failure).toMatchObject({ reason: 'it is larger than 1048576 bytes' })
  })

  it.each([
    ['ca = "it.pem"', 'ca', 'holds no PEM certificate'],
    ['client = "it.pem"', 'client', 'are no certificate with its key'],
  ])('that names a file which holds something else fails with that file: %s', async (text, field, reason) => {
    using dir = certsDir({ 'r.example/hosts.toml': text, 'r.example/it.pem': 'hello' })
    const failure = await failureFrom(hostsOf('r.example', dir.path), 'bad-config')
    expect(failure).toMatchObject({ file: `${dir.path}/r.example/hosts.toml`, field })
    expect(failure.reason).toContain(`${dir.path}/r.example/it.pem`)
    expect(failure.reason).toContain(reason)
  })
})
