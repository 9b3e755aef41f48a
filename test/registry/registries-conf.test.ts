/** registries.conf of CRI-O and podman: what it says of a reference, and what a registry is asked because of it. */
import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import { parseReference } from '../../src/reference/parse.ts'
import { hostsFor } from '../../src/registry/places.ts'
import { readRegistriesConf } from '../../src/registry/registries-conf.ts'
import { entryFor } from '../../src/registry/registries-hosts.ts'
import { hasOpenssl, makeCertificates } from './certificates.ts'
import { aManifest, certsDir, failureFrom, newClient, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

/** A directory as /etc/containers is. */
const etc = (conf: string, more: Readonly<Record<string, string>> = {}) => {
  const dir = certsDir({ 'registries.conf': conf, ...more })
  return { file: `${dir.path}/registries.conf`, path: dir.path, [Symbol.dispose]: () => dir[Symbol.dispose]() }
}

const asked = async (name: string, conf: string): Promise<string[]> => {
  using dir = etc(conf)
  const hosts = await hostsFor(parseReference(name), { registriesConf: dir.file })
  return hosts.map(
    ({ schemes, name, path, repository, namespace, named, tls }) =>
      `${schemes.join('|')}://${name}${path}/${repository}${namespace ?? ''}${named ? ' named' : ''}${tls.skipVerify ? ' unverified' : ''}`,
  )
}

const mirrored = `
[[registry]]
prefix = "docker.io/library"
location = "hub.example/official"
[[registry.mirror]]
location = "m1.example:5000/hub"
insecure = true
[[registry.mirror]]
location = "m2.example"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "m3.example"
pull-from-mirror = "tag-only"
`

describe('registries.conf', () => {
  it('names mirrors in their order, each for tags, digests or both, and the registry’s own location last', async () => {
    expect(await asked('debian:12', mirrored)).toEqual([
      'https|http://m1.example:5000/v2/hub/debian unverified',
      'https://m3.example/v2/debian',
      'https://hub.example/v2/official/debian',
    ])
    expect(await asked(`debian@${DIGEST}`, mirrored)).toEqual([
      'https|http://m1.example:5000/v2/hub/debian unverified',
      'https://m2.example/v2/debian',
      'https://hub.example/v2/official/debian',
    ])
  })

  it('with mirror-by-digest-only asks mirrors for digests alone', async () => {
    const conf =
      '[[registry]]\nlocation = "quay.io"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.example/quay"\n'
    expect(await asked('quay.io/a/b:1', conf)).toEqual(['https://quay.io/v2/a/b named'])
    expect(await asked(`quay.io/a/b@${DIGEST}`, conf)).toEqual(['https://m.example/v2/quay/a/b', 'https://quay.io/v2/a/b named'])
  })

  it('leaves a registry by a wildcard where it is, and one it does not name', async () => {
    const conf = '[[registry]]\nprefix = "*.corp.example"\ninsecure = true\n'
    expect(await asked('a.b.corp.example:5000/x/y:1', conf)).toEqual([
      'https|http://a.b.corp.example:5000/v2/x/y named unverified',
    ])
    expect(await asked('other.example/x/y:1', conf)).toEqual(['https://other.example/v2/undefined named'])
  })

  it.each([
    ['r.example/a/b/c:1', 'r.example/a/b'],
    ['r.example/a/bb:1', 'r.example/a'],
    ['r.example/x:1', 'r.example'],
    ['r.example/a/b:tag', 'r.example/a/b'],
    [`r.example/a/b@${DIGEST}`, 'r.example/a/b'],
    ['sub.r.example/x:1', '*.r.example'],
    ['deep.sub.r.example:5000/x:1', '*.r.example'],
    ['r.example.evil/x:1', undefined],
    ['evil.example/r.example/x:1', undefined],
  ])('the longest prefix that ends where a part of the name does is for %s', async (name, prefix) => {
    using dir = etc(
      '[[registry]]\nlocation = "r.example"\n[[registry]]\nlocation = "r.example/a"\n[[registry]]\nlocation = "r.example/a/b/"\n[[registry]]\nprefix = "*.r.example"\n',
    )
    expect(entryFor(parseReference(name), await readRegistriesConf(dir.file))?.prefix).toBe(prefix)
  })

  it('that blocks a registry ends the pull with what blocks it', async () => {
    using dir = etc('[[registry]]\nlocation = "bad.example"\nblocked = true\n')
    const failure = await failureFrom(
      hostsFor(parseReference('bad.example/x:1'), { registriesConf: dir.file }),
      'invalid-argument',
    )
    expect(failure).toMatchObject({ what: 'image bad.example/x:1', reason: expect.stringContaining(`is blocked in ${dir.file}`) })
  })

  it.each([
    ['docker.io', ['nginx', 'registry-1.docker.io/library/nginx', 'index.docker.io/library/nginx', 'Docker.io/library/nginx']],
    ['registry-1.docker.io', ['nginx']],
    ['bad.example:5000', ['bad.example:5000/x', 'Bad.Example:5000/x', 'bad.example:05000/x']],
    ['Bad.example/team', ['bad.example/team/x', 'bad.example:443/team/x']],
    ['*.Bad.example', ['a.bad.EXAMPLE/x']],
    ['*.docker.io', ['registry-1.docker.io/library/nginx']],
  ])('blocks %s however it is spelt', async (prefix, names) => {
    using dir = etc(`[[registry]]\nprefix = "${prefix}"\nlocation = "r.example"\nblocked = true\n`)
    for (const name of names) await failureFrom(hostsFor(parseReference(name), { registriesConf: dir.file }), 'invalid-argument')
    const others = ['other.example/x', 'bad.example:5001/x', 'bad.example/other']
    for (const name of others)
      expect((await hostsFor(parseReference(name), { registriesConf: dir.file })).map(({ path }) => path)).toEqual(['/v2'])
  })

  it('has for a reference the prefix that covers most of it, not the one that is spelt longest', async () => {
    const entry = (prefix: string, location: string) => `[[registry]]\nprefix = "${prefix}"\nlocation = "${location}"\n`
    const conf = `${entry('registry-1.docker.io', 'host.example')}${entry('docker.io/library', 'path.example')}`
    expect(await asked('nginx', conf)).toEqual(['https://path.example/v2/nginx'])
    expect(await asked('team/nginx', conf)).toEqual(['https://host.example/v2/team/nginx'])
  })

  it('replaces what the prefix covers, and knows the registry itself, however the name is spelt', async () => {
    const conf = (location: string) => `[[registry]]\nprefix = "r.example:5000/team"\nlocation = "${location}"\n`
    expect(await asked('R.example:05000/team/x', conf('m.example/t'))).toEqual(['https://m.example/v2/t/x'])
    expect(await asked('R.example:05000/team/x', conf('r.example:5000/team'))).toEqual(['https://r.example:5000/v2/team/x named'])
  })

  it('is laid over by its drop-ins, in order of their names, entry by entry', async () => {
    using dir = etc('[[registry]]\nlocation = "r.example"\n[[registry.mirror]]\nlocation = "first.example"\n', {
      'registries.conf.d/90.conf': '[[registry]]\nprefix = "r.example"\nlocation = "ninety.example"\n',
      'registries.conf.d/10.conf': '[[registry]]\nprefix = "r.example"\nlocation = "ten.example"\n',
      'registries.conf.d/note.txt': 'no TOML at all',
    })
    const hosts = await hostsFor(parseReference('r.example/x:1'), { registriesConf: dir.file })
    expect(hosts.map(({ name }) => name)).toEqual(['ninety.example'])
  })

  it('need not be there, nor need its drop-ins', async () => {
    expect(await readRegistriesConf('/gone/registries.conf')).toEqual([])
  })

  it.each([
    ['[[registry]]\nlocation = "a', 2],
    ['\n[[registry]]\nblocked = "yes"\n', 3],
    ['[[registry]]\nlocation = "a.example"\n[[registry]]\n\nlocation = "https://b.example"\n', 5],
    [
      '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\nlocation = "m"\n[[registry.mirror]]\npull-from-mirror = "x"\n',
      5,
    ],
    ['[[registry]]\nblocked = true\n', 1],
    ['[[registry]]\nprefix = "r.*"\nlocation = "x"\n', 1],
    ['[[registry]]\nprefix = "r.example"\n', 1],
    ['unqualified-search-registries = []\n[registries.search]\nregistries = ["docker.io"]\n', 2],
  ])('that does not say what it must fails with its file and line: %j', async (text, line) => {
    using dir = etc('', { 'registries.conf.d/x.conf': text })
    const failure = await failureFrom(hostsFor(parseReference('r.example/x:1'), { registriesConf: dir.file }), 'bad-config')
    expect(failure).toMatchObject({ file: `${dir.file}.d/x.conf`, line })
  })

  it('is not asked of a registry that has a directory of hosts.toml', async () => {
    using dir = etc('[[registry]]\nlocation = "r.example"\nblocked = true\n', {
      'certs.d/r.example/hosts.toml': 'server = "https://by-toml.example"',
    })
    const places = { registriesConf: dir.file, hostsDir: `${dir.path}/certs.d` }
    expect((await hostsFor(parseReference('r.example/x:1'), places)).map(({ name }) => name)).toEqual(['by-toml.example'])
  })

  it('that calls a registry insecure has it asked over plain HTTP whatever keeps HTTPS from working', async () => {
    await using registry = await startRegistry()
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    const port = registry.host.split(':')[1] ?? ''
    const refused = new Error('nobody speaks TLS here')
    vi.spyOn(tls, 'connect').mockImplementation(() => {
      const socket = new net.Socket()
      queueMicrotask(() => socket.destroy(Object.assign(refused, { code: 'ECONNREFUSED' })))
      return socket as tls.TLSSocket
    })
    onTestFinished(() => void vi.restoreAllMocks())
    using dir = etc(`[[registry]]\nlocation = "localhost:${port}"\ninsecure = true\n`)
    await using client = newClient({ registriesConf: dir.file })
    expect(await client.open(`localhost:${port}`).resolve({ signal: signal() })).toBeDefined()
    using strict = etc(`[[registry]]\nlocation = "localhost:${port}"\n`)
    await using other = newClient({ registriesConf: strict.file })
    await failureFrom(other.open(`localhost:${port}`).resolve({ signal: signal() }), 'registry-unavailable')
  })

  it('has mirrors on the registry’s own host, too, which see no login of a caller and confirm nothing', async () => {
    await using registry = await startRegistry({ auth: { kind: 'basic', username: 'alice', password: 'right' } })
    const digest = registry.putManifest('pub/team/app', 'v1', aManifest, mediaTypes.ociManifest)
    const open: string[] = []
    registry.fault = ({ path, authorization }) => {
      if (!path.includes('/pub/')) return undefined
      open.push(authorization)
      return { kind: 'status', status: 200, headers: { 'content-type': mediaTypes.ociManifest }, body: aManifest }
    }
    const at = (path: string) => `location = "${registry.host}/${path}"\ninsecure = true\n`
    using dir = etc(`[[registry]]\n${at('team')}[[registry.mirror]]\n${at('pub/team')}`)
    await using client = newClient({ registriesConf: dir.file })
    const as = (password: string) => client.open(registry.host, { credentials: { kind: 'basic', username: 'alice', password } })
    const stranger = as('wrong')
    expect(await stranger.resolve({ signal: signal() })).toBeDefined()
    await failureFrom(stranger.confirm(digest, { signal: signal() }), 'unauthorized')
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    const alice = as('right')
    expect(await alice.resolve({ signal: signal() })).toBeDefined()
    await alice.confirm(digest, { signal: signal() })
    expect(new Set(open)).toEqual(new Set(['none']))
  })

  it('is read for every pull; a mirror gets the repository it knows, no ns, and the registry what the mirror lacks', async () => {
    await using mirror = await startRegistry()
    await using own = await startRegistry()
    own.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    const conf = (location: string) =>
      `[[registry]]\nprefix = "r.example/team"\nlocation = "${own.host}/team"\ninsecure = true\n[[registry.mirror]]\nlocation = "${location}"\ninsecure = true\n`
    using first = etc(conf(`${mirror.host}/cache/team`))
    await using client = newClient({ registriesConf: first.file })
    const document = await client.open('r.example').resolve({ signal: signal() })
    expect(document?.host).toBe(own.host)
    expect(mirror.requests.map(({ path, query }) => [path, query.size])).toEqual([['/v2/cache/team/app/manifests/v1', 0]])
    mirror.putManifest('cache/team/app', 'v1', aManifest, mediaTypes.ociManifest)
    expect((await client.open('r.example').resolve({ signal: signal() }))?.host).toBe(mirror.host)
  })

  it.skipIf(!hasOpenssl)('takes certificates from certs.d beside it, for registries it does not name too', async () => {
    const { ca, server, client: pair } = makeCertificates('IP:127.0.0.1,DNS:localhost')
    await using registry = await startRegistry({ tls: { ...server, clientCa: ca } })
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    for (const named of [true, false]) {
      const conf = named ? `[[registry]]\nlocation = "${registry.host}"\n` : ''
      const files = { 'client.cert': pair.cert, 'client.key': pair.key }
      const certs = Object.fromEntries(Object.entries(files).map(([name, pem]) => [`certs.d/${registry.host}/${name}`, pem]))
      using without = etc(conf, { [`certs.d/${registry.host}/ca.crt`]: ca })
      await using stranger = newClient({ registriesConf: without.file })
      await failureFrom(stranger.open(registry.host).resolve({ signal: signal() }), 'registry-unavailable')
      using dir = etc(conf, { ...certs, [`certs.d/${registry.host}/ca.crt`]: ca })
      await using client = newClient({ registriesConf: dir.file })
      expect(await client.open(registry.host).resolve({ signal: signal() })).toBeDefined()
    }
  })
})
