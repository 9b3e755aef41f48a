/** Which configuration describes a registry, and containerd's own mirrors. */
import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import { parseReference } from '../../src/reference/parse.ts'
import type { InlineRegistries } from '../../src/registry/inline.ts'
import { hostsFor, placesFor } from '../../src/registry/places.ts'
import { hasOpenssl, makeCertificates } from './certificates.ts'
import { aManifest, certsDir, failureFrom, newClient, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'

const inline: InlineRegistries = { file: '/etc/containerd/config.toml', mirrors: {}, tls: {}, headers: {} }
const mirrors = { 'docker.io': ['https://m.example'] }
const usual = { configPath: '/etc/containerd/certs.d:/etc/docker/certs.d', registriesConf: '/etc/containers/registries.conf' }
const other = { ...usual, configPath: '/own/certs.d' }

describe('a registry is described', () => {
  it.each([
    [
      'without a runtime by certs.d, then registries.conf',
      usual,
      undefined,
      { hostsDir: usual.configPath, registriesConf: usual.registriesConf },
    ],
    [
      'beside CRI-O by registries.conf alone',
      usual,
      { address: { kind: 'crio' }, facts: {} },
      { registriesConf: usual.registriesConf },
    ],
    [
      'beside CRI-O by certs.d that we are told of',
      other,
      { address: { kind: 'crio' }, facts: {} },
      { hostsDir: '/own/certs.d', registriesConf: usual.registriesConf },
    ],
    [
      'beside containerd by its config_path',
      usual,
      { address: { kind: 'containerd' }, facts: { hostsDir: '/c' } },
      { hostsDir: '/c' },
    ],
    [
      'beside containerd by its mirrors, where it has no config_path',
      usual,
      { address: { kind: 'containerd' }, facts: { registries: { ...inline, mirrors } } },
      { inline: { ...inline, mirrors } },
    ],
    [
      'beside containerd by config_path, whatever else is left in its file',
      usual,
      { address: { kind: 'containerd' }, facts: { hostsDir: '/c', registries: { ...inline, mirrors } } },
      { hostsDir: '/c' },
    ],
    [
      'beside containerd by its config_path, with the headers beside it',
      usual,
      { address: { kind: 'containerd' }, facts: { hostsDir: '/c', registries: { ...inline, mirrors, headers: { x: ['y'] } } } },
      { hostsDir: '/c', headers: { x: ['y'] } },
    ],
    [
      'beside containerd by certs.d, where its file has logins alone',
      usual,
      { address: { kind: 'containerd' }, facts: { registries: inline } },
      { hostsDir: usual.configPath },
    ],
    [
      'beside containerd by what we are told of, before all that',
      other,
      { address: { kind: 'containerd' }, facts: { hostsDir: '/c', registries: { ...inline, mirrors } } },
      { hostsDir: '/own/certs.d' },
    ],
  ] as const)('%s', (_, said, runtime, places) => {
    expect(placesFor(said, runtime)).toEqual(places)
  })
})

it('headers of containerd’s file go to every host of its directories, beside those of hosts.toml', async () => {
  await using registry = await startRegistry()
  await using mirror = await startRegistry()
  registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  const toml = `server = "${registry.origin}"\n[host."${mirror.origin}"]\n[host."${mirror.origin}".header]\nX-Site = "b"\nX-Own = "c"\n`
  using dir = certsDir({ 'r.example/hosts.toml': toml })
  await using client = newClient({ hostsDir: dir.path, headers: { 'x-site': ['a'] } })
  expect(await client.open('r.example').resolve({ signal: signal() })).toMatchObject({ host: registry.host })
  expect(mirror.requests[0]?.headers).toMatchObject({ 'x-site': 'a, b', 'x-own': 'c' })
  expect(registry.requests[0]?.headers).toMatchObject({ 'x-site': 'a' })
})

describe('mirrors in containerd’s own configuration', () => {
  const asked = async (name: string, mirrors: InlineRegistries['mirrors']) =>
    (await hostsFor(parseReference(name), { inline: { ...inline, mirrors } })).map(
      ({ schemes, name, path, namespace }) => `${schemes.join('|')}://${name}${path} ${namespace ?? '-'}`,
    )

  it('are asked in their order, then the registry itself', async () => {
    const given = { 'docker.io': ['https://m.example', 'http://n.example:5000/cache/'], '*': ['any.example'] }
    expect(await asked('debian', given)).toEqual([
      'https://m.example/v2 docker.io',
      'http://n.example:5000/cache docker.io',
      'https://registry-1.docker.io/v2 -',
    ])
    expect(await asked('r.example/x', given)).toEqual(['https://any.example/v2 r.example', 'https://r.example/v2 -'])
  })

  it('may hold the registry itself, which is then not asked twice', async () => {
    expect(await asked('r.example/x', { 'r.example': ['http://r.example', 'm.example'] })).toEqual([
      'http://r.example/v2 -',
      'https://m.example/v2 r.example',
    ])
    expect(await asked('localhost:5000/x', {})).toEqual(['http://localhost:5000/v2 -'])
  })

  it('may be below another path of the registry’s host, and then are no more than mirrors, unless nothing else is listed of it', async () => {
    expect(await asked('r.example/x', { 'r.example': ['https://r.example/cache', 'https://r.example'] })).toEqual([
      'https://r.example/cache r.example',
      'https://r.example/v2 -',
    ])
    expect(await asked('r.example/x', { 'r.example': ['https://r.example/cache'] })).toEqual(['https://r.example/cache -'])
  })

  it('that are no addresses are an error that names the file', async () => {
    const failure = await failureFrom(asked('r.example/x', { '*': ['ftp://m.example'] }), 'bad-config')
    expect(failure).toMatchObject({ file: inline.file, reason: expect.stringContaining('ftp://m.example') })
  })

  it.skipIf(!hasOpenssl)('are reached with the TLS settings and headers that stand there', async () => {
    const { ca, server, client: pair } = makeCertificates()
    await using registry = await startRegistry({ tls: { ...server, clientCa: ca } })
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    using dir = certsDir({ 'ca.pem': ca, 'c.pem': pair.cert, 'k.pem': pair.key })
    const tls = { [registry.host]: { ca: ['ca.pem'], client: [{ cert: 'c.pem', key: 'k.pem' }], skipVerify: false } }
    const given = { file: `${dir.path}/config.toml`, mirrors: { '*': [registry.origin] }, headers: { 'x-site': ['a', 'b'] } }
    await using client = newClient({ inline: { ...given, tls } })
    expect(await client.open('r.example').resolve({ signal: signal() })).toMatchObject({ host: registry.host })
    expect(registry.requests[0]).toMatchObject({ headers: { 'x-site': 'a, b' } })
    expect(registry.requests[0]?.query.get('ns')).toBe('r.example')
    await using stranger = newClient({ inline: { ...given, mirrors: { '*': [registry.origin, 'http://127.0.0.1:1'] }, tls: {} } })
    await failureFrom(stranger.open('127.0.0.1:1').resolve({ signal: signal() }), 'registry-unavailable')
  })
})
