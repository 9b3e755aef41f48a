/** Several logins within one pull: which is tried where, and what is told of those that are refused. */
import type { IncomingHttpHeaders } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { authFileSource } from '../../src/credentials/auth-file.ts'
import { createKeyring, fixedSource } from '../../src/credentials/credentials.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import type { Keyring } from '../../src/registry/registry.ts'
import { unlessAborted } from '../../src/task/flights.ts'
import { b64, place } from '../credentials/places.ts'
import { aManifest, certsDir, certsName, failureFrom, Keeper, layerOf, newClient, pattern, signal } from './client-under-test.ts'
import { basicAuthorization, hasDockerRegistry, login, pushBlob, pushManifest, startDockerRegistry } from './docker-registry.ts'
import { type Auth, type Fault, startRegistry, type TestRegistry } from './embedded-registry.ts'

const keyringOf = (logins: readonly (readonly [string, string])[], problems: readonly string[] = []): Keyring => ({
  candidates: async () => ({ logins: logins.map(([username, password]) => ({ kind: 'basic', username, password })), problems }),
})

async function registryWith(auth: Auth): Promise<TestRegistry> {
  const registry = await startRegistry({ auth })
  registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  return registry
}

const wrong = ['alice', 'canary-old'] as const
const right = ['bob', 'canary-new'] as const

describe('a pull without credentials', () => {
  it.each([
    ['Basic', { kind: 'basic', username: 'bob', password: 'canary-new' }],
    ['a token server', { kind: 'bearer', users: { bob: 'canary-new' } }],
  ] satisfies [string, Auth][])('tries what the node has, in its order, and stays with what is let in: %s', async (_, auth) => {
    await using registry = await registryWith(auth)
    const bytes = pattern(1000)
    const digest = registry.putBlob(bytes)
    await using client = newClient({ keyring: keyringOf([wrong, right]) })
    const repository = client.open(registry.host)
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    const before = registry.requests.length
    await repository.fetch(layerOf(digest, bytes), new Keeper(), { signal: signal() })
    expect(registry.requests.slice(before).map(({ status }) => status)).toEqual([200])
  })

  it('goes on after a 404, by which registries hide what is private', async () => {
    await using registry = await registryWith({ kind: 'none' })
    const visibleTo =
      (login: string) =>
      ({ headers }: { headers: IncomingHttpHeaders }): Fault | undefined => {
        if (headers.authorization === undefined)
          return { kind: 'status', status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }
        if (headers.authorization === `Basic ${b64('revoked:x')}`) return { kind: 'status', status: 403 }
        return headers.authorization === `Basic ${b64(login)}` ? undefined : { kind: 'status', status: 404, code: 'NAME_UNKNOWN' }
      }
    registry.fault = visibleTo('bob:canary-new')
    await using client = newClient({ keyring: keyringOf([wrong, right]) })
    expect(await client.open(registry.host).resolve({ signal: signal() })).toBeDefined()
    registry.fault = visibleTo('nobody')
    const absent = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'manifest-unknown')
    expect(absent.tried[0]?.result).toMatch(/^404 NAME_UNKNOWN.*; as user alice: 404 NAME_UNKNOWN/)
    await using mixed = newClient({ keyring: keyringOf([['revoked', 'x'], right]) })
    const denied = await failureFrom(mixed.open(registry.host).resolve({ signal: signal() }), 'denied')
    expect(denied).toMatchObject({ user: 'revoked', detail: expect.stringMatching(/; as user bob: 404 NAME_UNKNOWN/) })
  })

  it('is told that there is nothing where nobody was asked to log in, once', async () => {
    await using registry = await startRegistry()
    await using client = newClient({ keyring: keyringOf([wrong, right]) })
    await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'manifest-unknown')
    expect(registry.requests).toHaveLength(1)
  })

  it('asks the keyring once for who ask at the same time, and goes on where the first of them leaves', async () => {
    await using registry = await registryWith({ kind: 'basic', username: 'bob', password: 'canary-new' })
    const { promise, resolve } = Promise.withResolvers<void>()
    let asked = 0
    const keyring: Keyring = {
      candidates: async (target, options) => {
        asked++
        await unlessAborted(promise, options.signal)
        return keyringOf([right]).candidates(target, options)
      },
    }
    await using client = newClient({ keyring })
    const repository = client.open(registry.host)
    const leaving = new AbortController()
    const leaver = repository.resolve({ signal: leaving.signal })
    await expect.poll(() => asked).toBe(1)
    const stayer = repository.resolve({ signal: signal() })
    // It reads its hosts first; then it waits with the other.
    await setImmediate()
    leaving.abort()
    await failureFrom(leaver, 'cancelled')
    resolve()
    expect(await stayer).toBeDefined()
    expect(asked).toBe(1)
  })

  it('that lasts longer than a login asks the node for another, once', async () => {
    let [wanted, has] = ['canary-first', 'canary-first']
    await using registry = await startRegistry({
      fault: ({ headers }) =>
        headers.authorization === `Basic ${b64(`bob:${wanted}`)}`
          ? undefined
          : { kind: 'status', status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
    })
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    let asked = 0
    const keyring: Keyring = {
      candidates: async () => {
        asked++
        return { logins: [{ kind: 'basic', username: 'bob', password: has }], problems: [] }
      },
    }
    await using client = newClient({ keyring })
    const repository = client.open(registry.host)
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    ;[wanted, has] = ['canary-second', 'canary-second']
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    expect(asked).toBe(2)
    wanted = 'canary-third'
    await failureFrom(repository.resolve({ signal: signal() }), 'unauthorized')
    expect(asked).toBe(3)
  })

  it('that nobody of these may do tells who was refused, what else is wrong, and no secret', async () => {
    await using registry = await registryWith({ kind: 'bearer', users: {} })
    await using client = newClient({ keyring: keyringOf([wrong, right], ['docker-credential-x: it failed (exit 1)']) })
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'unauthorized')
    expect(failure).toMatchObject({ user: 'bob', host: registry.host })
    expect(failure.detail).toMatch(/; as user alice: .*401.*; docker-credential-x: it failed \(exit 1\)$/)
    expect(JSON.stringify([failure, client.events])).not.toContain('canary')
  })

  it('is anonymous where the node has nobody, and says why it has nobody where it is refused', async () => {
    await using open = await registryWith({ kind: 'bearer' })
    await using client = newClient({ keyring: keyringOf([], ['/etc/auth.json:3: it is not JSON']) })
    expect(await client.open(open.host).resolve({ signal: signal() })).toBeDefined()
    await using closed = await registryWith({ kind: 'basic', username: 'bob', password: 'x' })
    const failure = await failureFrom(client.open(closed.host).resolve({ signal: signal() }), 'unauthorized')
    expect(failure.user).toBeUndefined()
    expect(failure.detail).toContain('/etc/auth.json:3: it is not JSON')
  })

  it('asks the keyring once for each repository at each host, by the names people write', async () => {
    await using registry = await registryWith({ kind: 'none' })
    const asked: string[] = []
    const keyring: Keyring = {
      candidates: async (target) => {
        asked.push(`${target.registry}/${target.repository}`)
        return { logins: [], problems: [] }
      },
    }
    using dir = certsDir({ 'docker.io/hosts.toml': `server = "http://127.0.0.1:1"\n[host."${registry.origin}"]` })
    await using client = newClient({ hostsDir: dir.path, keyring })
    const repository = client.open('docker.io')
    await repository.resolve({ signal: signal() })
    await repository.resolve({ signal: signal() })
    expect(asked).toEqual([`${registry.host}/team/app`])
  })
})

describe('credentials of a caller', () => {
  const given = { kind: 'basic', username: 'carol', password: 'canary-carol' } as const

  it('are the only ones at the registry they are for', async () => {
    await using registry = await registryWith({ kind: 'basic', username: 'bob', password: 'canary-new' })
    await using client = newClient({ keyring: keyringOf([right]) })
    const failure = await failureFrom(
      client.open(registry.host, { credentials: given }).resolve({ signal: signal() }),
      'unauthorized',
    )
    expect(failure.user).toBe('carol')
  })

  it('never go to a mirror, which sees what the node has for it', async () => {
    await using mirror = await registryWith({ kind: 'basic', username: 'bob', password: 'canary-new' })
    await using registry = await registryWith({ kind: 'none' })
    using dir = certsDir({ [`${certsName(registry.host)}/hosts.toml`]: `[host."${mirror.origin}"]` })
    const keyring = createKeyring([fixedSource({ [mirror.host]: { kind: 'basic', username: 'bob', password: 'canary-new' } })])
    await using client = newClient({ hostsDir: dir.path, keyring })
    const document = await client.open(registry.host, { credentials: given }).resolve({ signal: signal() })
    expect(document?.host).toBe(mirror.host)
    expect(JSON.stringify(mirror.requests.map(({ headers }) => headers))).not.toContain(b64('carol:canary-carol'))
  })
})

it('a keyring asks its places in their order, each login once, and no more than a registry would bear', async () => {
  const basic = (username: string) => ({ kind: 'basic', username, password: 'p' }) as const
  const source = (...names: string[]) => ({ candidates: async () => ({ logins: names.map(basic), problems: names.slice(0, 1) }) })
  const told: string[] = []
  const keyring = createKeyring([source('a', 'b'), source('b', 'c', 'd', 'e', 'f', 'g', 'h', 'i')], ({ problem }) =>
    told.push(problem),
  )
  const { logins, problems } = await keyring.candidates({ registry: 'r', repository: 'x' }, { signal: signal() })
  expect(logins.map((login) => login.kind === 'basic' && login.username)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
  expect(problems).toEqual(['a', 'b'])
  expect(told).toEqual(problems)
})

describe.skipIf(!hasDockerRegistry())('Debian’s docker-registry with htpasswd', () => {
  it('lets in the second of two logins, one of a path and one of the host, from an auth file', async () => {
    await using registry = await startDockerRegistry({ auth: 'basic' })
    const target = { host: registry.host, repository: 'team/app', authorization: basicAuthorization() }
    const config = await pushBlob(target, Buffer.from('{}'))
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: [],
    })
    await pushManifest(target, 'v1', manifest, mediaTypes.ociManifest)
    using at = place()
    const file = at.file('config.json', {
      auths: {
        [registry.host]: { auth: b64(`${login.username}:${login.password}`) },
        [`${registry.host}/team`]: { auth: b64('team:canary-wrong') },
      },
    })
    await using client = newClient({ keyring: createKeyring([authFileSource(file, { env: {}, mustExist: true })]) })
    expect(await client.open(registry.host).resolve({ signal: signal() })).toMatchObject({ host: registry.host })
    await using stranger = newClient()
    await failureFrom(stranger.open(registry.host).resolve({ signal: signal() }), 'unauthorized')
  })
})
