/** Proxies: which requests go through one, and that it and the registry each learn no more than is theirs. */
import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import { proxiesFrom, proxySettings } from '../../src/registry/proxy.ts'
import { hasOpenssl, makeCertificates } from './certificates.ts'
import { aManifest, certsDir, failureFrom, Keeper, layerOf, newClient, pattern, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'
import { startProxy } from './proxy-server.ts'

const login = 'puller:canary-proxy'
const basic = `Basic ${Buffer.from(login).toString('base64')}`

const through = (host: string, noProxy = '') =>
  proxiesFrom({ http: `http://${login}@${host}`, https: `http://${login}@${host}`, noProxy })

describe('NO_PROXY', () => {
  const isProxied = (target: string, noProxy: string): boolean =>
    proxiesFrom({ http: 'http://p:1', https: 'http://p:2', noProxy })(new URL(target)) !== undefined

  it.each([
    ['https://r.example', '', true],
    ['https://r.example', '*', false],
    ['https://r.example', 'other.example, r.example', false],
    ['https://sub.r.example', 'r.example', false],
    ['https://notr.example', 'r.example', true],
    ['https://R.Example', 'r.eXample', false],
    ['https://sub.r.example', '.r.example', false],
    ['https://r.example', '.r.example', true],
    ['https://sub.r.example', '*.r.example', false],
    ['https://r.example', '*.r.example', true],
    ['https://r.example:5000', 'r.example:5000', false],
    ['https://r.example', 'r.example:5000', true],
    ['https://r.example', 'r.example:443', false],
    ['http://r.example', 'r.example:80', false],
    ['https://10.1.2.3:5000', '10.0.0.0/8', false],
    ['https://11.1.2.3', '10.0.0.0/8,192.168.0.0/16', true],
    ['https://[fd00::7]', 'fd00::/8', false],
    ['https://[fe00::7]:443', 'fd00::/8', true],
    ['https://10.1.2.3', '10.1.2.3', false],
    ['https://10.1.2.3:5000', '10.1.2.3:443', true],
    ['https://[fd00::7]:5000', '[fd00::7]:5000', false],
    ['https://[fd00::7]', 'fd00::7', false],
    ['https://r.example', '10.0.0.0/99,::/x', true],
    // Go's rule: what is on this machine is never behind a proxy.
    ['https://localhost:5000', '', false],
    ['http://127.0.0.2:5000', '', false],
    ['https://[::1]', '', false],
  ])('%s with %j: through the proxy %s', (target, noProxy, expected) => {
    expect(isProxied(target, noProxy)).toBe(expected)
  })
})

describe('a proxy', () => {
  it('whose password has a % that escapes nothing stops the start, and shows no part of it', () => {
    const proxies = () => proxiesFrom({ http: '', https: 'http://u:canary50%off@proxy.example:3128', noProxy: '' })
    expect(proxies).toThrow(
      expect.objectContaining({ failure: expect.objectContaining({ kind: 'invalid-argument', what: 'HTTPS_PROXY' }) }),
    )
    expect(proxies).not.toThrow(/canary/)
    const right = proxiesFrom({ http: '', https: 'http://u:50%25off@proxy.example:3128', noProxy: '' })
    const authorization = `Basic ${Buffer.from('u:50%off').toString('base64')}`
    expect(right(new URL('https://r.example'))).toMatchObject({ authorization })
  })

  it('is the one for the scheme; the configuration goes before the environment, upper case before lower', () => {
    const env = { HTTP_PROXY: 'one.example:1', https_proxy: 'https://two.example', HTTPS_PROXY: '', NO_PROXY: 'x.example' }
    expect(proxySettings({}, env)).toEqual({ http: 'one.example:1', https: 'https://two.example', noProxy: 'x.example' })
    expect(proxySettings({ https: '', noProxy: 'y' }, env)).toEqual({ http: 'one.example:1', https: '', noProxy: 'y' })
    const proxyFor = proxiesFrom(proxySettings({}, env))
    expect(proxyFor(new URL('http://r.example'))).toMatchObject({ label: 'one.example:1', authorization: undefined })
    expect(proxyFor(new URL('https://r.example'))?.origin.href).toBe('https://two.example/')
    expect(proxyFor(new URL('https://a.x.example'))).toBeUndefined()
  })

  it.each(['socks5://u:canary@p:1', 'http://u:canary@p:badport'])(
    'that is none is refused without a word of its login: %s',
    (https) => {
      let said = ''
      try {
        proxiesFrom({ http: '', https, noProxy: '' })
      } catch (error) {
        said = String(error)
      }
      expect(said).toContain('HTTPS_PROXY')
      expect(said).not.toContain('canary')
    },
  )

  it('is asked for plain HTTP in absolute form, for names it alone resolves; its login stays with it', async () => {
    await using registry = await startRegistry({ auth: { kind: 'bearer', realm: 'http://registry.test/token' } })
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    const bytes = pattern(3_000_000)
    const digest = registry.putBlob(bytes)
    await using proxy = await startProxy({ names: { 'registry.test:80': registry.host }, login })
    using dir = certsDir({ 'registry.test/hosts.toml': 'server = "http://registry.test"' })
    await using client = newClient({ hostsDir: dir.path, proxyFor: through(proxy.host) })
    const repository = client.open('registry.test')
    expect(await repository.resolve({ signal: signal() })).toMatchObject({ host: 'registry.test' })
    const keeper = new Keeper()
    await repository.fetch(layerOf(digest, bytes), keeper, { signal: signal() })
    expect(keeper.bytes.equals(bytes)).toBe(true)
    expect(proxy.asked).toEqual([
      'GET http://registry.test/v2/team/app/manifests/v1',
      expect.stringMatching(/^GET http:\/\/registry\.test\/token\?/),
      'GET http://registry.test/v2/team/app/manifests/v1',
      `GET http://registry.test/v2/team/app/blobs/${digest}`,
    ])
    expect(new Set(proxy.logins)).toEqual(new Set([basic]))
    expect(registry.requests.map(({ headers }) => [headers.host, headers['proxy-authorization']])).toEqual(
      registry.requests.map(() => ['registry.test', undefined]),
    )
  })

  it.skipIf(!hasOpenssl)(
    'opens a tunnel for HTTPS: the registry’s certificate is checked by its name, and sees no login',
    async () => {
      const { ca, server } = makeCertificates('DNS:registry.test')
      await using registry = await startRegistry({ tls: server })
      registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
      const names = { 'registry.test:443': registry.host, 'wrong.test:443': registry.host }
      await using proxy = await startProxy({ names, login })
      using dir = certsDir({ '_default/hosts.toml': '', '_default/ca.crt': ca })
      await using client = newClient({ hostsDir: dir.path, proxyFor: through(proxy.host) })
      expect(await client.open('registry.test').resolve({ signal: signal() })).toMatchObject({ host: 'registry.test' })
      expect(proxy.asked).toEqual(['CONNECT registry.test:443'])
      expect(proxy.logins).toEqual([basic])
      expect(JSON.stringify(registry.requests.map(({ headers }) => headers))).not.toContain('roxy')
      const failure = await failureFrom(client.open('wrong.test').resolve({ signal: signal() }), 'registry-unavailable')
      expect(failure.tried[0]?.result).toContain('wrong.test')
    },
  )

  it('that refuses, or is not there, is named, and its login is not', async () => {
    await using proxy = await startProxy({ names: {}, login: 'somebody:else' })
    const said = async (host: string, scheme: string) => {
      using dir = certsDir({ 'registry.test/hosts.toml': `server = "${scheme}://registry.test"` })
      await using client = newClient({ hostsDir: dir.path, proxyFor: through(host) })
      const failure = await failureFrom(client.open('registry.test').resolve({ signal: signal() }), 'registry-unavailable')
      expect(JSON.stringify([failure, client.events])).not.toMatch(/canary|cHVsbGVy/)
      return failure.tried[0]?.result
    }
    expect(await said(proxy.host, 'https')).toBe(
      `the proxy ${proxy.host}: it wants another login (407): put user and password into its address`,
    )
    expect(await said(proxy.host, 'http')).toMatch(/a proxy wants another login \(407\)/)
    expect(await said('127.0.0.1:1', 'https')).toMatch(/^the proxy 127\.0\.0\.1:1: .*ECONNREFUSED/)
    expect(await said('127.0.0.1:1', 'http')).toMatch(/^the proxy 127\.0\.0\.1:1: .*ECONNREFUSED/)
  })
})
