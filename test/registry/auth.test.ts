import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import type { Credentials } from '../../src/registry/registry.ts'
import { aManifest, certsDir, certsName, failureFrom, Keeper, layerOf, newClient, pattern, signal } from './client-under-test.ts'
import { type Auth, startRegistry, type TestRegistry } from './embedded-registry.ts'

const alice: Credentials = { kind: 'basic', username: 'alice', password: 'canary-pass?&=' }
const users = { alice: 'canary-pass?&=' }

async function registryWith(auth: Auth, fault?: TestRegistry['fault']) {
  const registry = await startRegistry(fault === undefined ? { auth } : { auth, fault })
  registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  return registry
}

const log = (registry: TestRegistry) =>
  registry.requests.map(
    ({ method, path, authorization, status }) => `${method} ${path.replace('/v2/team/app/', '')} ${authorization} ${status}`,
  )

describe('Basic', () => {
  it('is sent when asked for, and from then on at once', async () => {
    await using registry = await registryWith({ kind: 'basic', username: 'alice', password: users.alice })
    await using client = newClient()
    const repository = client.open(registry.host, { credentials: alice })
    await repository.resolve({ signal: signal() })
    await repository.resolve({ signal: signal() })
    expect(log(registry)).toEqual(['GET manifests/v1 none 401', 'GET manifests/v1 basic 200', 'GET manifests/v1 basic 200'])
  })

  it('that is wrong, or missing, is an unauthorized that names the user', async () => {
    await using registry = await registryWith({ kind: 'basic', username: 'alice', password: users.alice })
    await using client = newClient()
    const wrong = client.open(registry.host, { credentials: { ...alice, username: 'bob' } })
    const failure = await failureFrom(wrong.resolve({ signal: signal() }), 'unauthorized')
    expect(failure).toMatchObject({ host: registry.host, user: 'bob', detail: '401 UNAUTHORIZED: authentication required' })
    const none = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'unauthorized')
    expect(none.user).toBeUndefined()
    expect(log(registry)).toHaveLength(3)
  })
})

describe('a bearer token', () => {
  it('is fetched for anonymous callers too, and kept', async () => {
    await using registry = await registryWith({ kind: 'bearer' })
    await using client = newClient()
    for (let round = 0; round < 3; round++) await client.open(registry.host).resolve({ signal: signal() })
    expect(log(registry)).toEqual([
      'GET manifests/v1 none 401',
      'GET /token none 200',
      'GET manifests/v1 bearer 200',
      'GET manifests/v1 bearer 200',
      'GET manifests/v1 bearer 200',
    ])
    const [asked] = registry.requests.filter(({ path }) => path === '/token')
    expect(Object.fromEntries(asked?.query ?? [])).toEqual({
      service: 'embedded',
      scope: 'repository:team/app:pull',
      client_id: 'windlass',
    })
  })

  it('is fetched with the password by GET, with an identity token by POST', async () => {
    await using registry = await registryWith({ kind: 'bearer', users, refreshTokens: ['canary-refresh'] })
    await using client = newClient()
    await client.open(registry.host, { credentials: alice }).resolve({ signal: signal() })
    await client
      .open(registry.host, { credentials: { kind: 'identity-token', token: 'canary-refresh' } })
      .resolve({ signal: signal() })
    expect(log(registry).filter((line) => line.includes('/token'))).toEqual(['GET /token basic 200', 'POST /token none 200'])
  })

  it('of the caller goes straight to the registry', async () => {
    await using registry = await registryWith({ kind: 'bearer' })
    await using client = newClient()
    const credentials: Credentials = { kind: 'registry-token', token: 'canary-token' }
    await failureFrom(client.open(registry.host, { credentials }).resolve({ signal: signal() }), 'unauthorized')
    expect(registry.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer canary-token'])
  })

  it('is asked for once, however many need it at the same time', async () => {
    await using registry = await registryWith({ kind: 'bearer', users })
    await using client = newClient()
    await Promise.all(
      Array.from({ length: 20 }, () => client.open(registry.host, { credentials: alice }).resolve({ signal: signal() })),
    )
    expect(registry.count('GET', '/token')).toBe(1)
  })

  it('is not shared between callers with different credentials', async () => {
    await using registry = await registryWith({ kind: 'bearer', users: { ...users, bob: 'b' } })
    await using client = newClient()
    await client.open(registry.host, { credentials: alice }).resolve({ signal: signal() })
    const bob = client.open(registry.host, { credentials: { kind: 'basic', username: 'bob', password: 'b' } })
    await bob.resolve({ signal: signal() })
    const mallory = client.open(registry.host, { credentials: { kind: 'basic', username: 'alice', password: 'guess' } })
    expect(await failureFrom(mallory.resolve({ signal: signal() }), 'unauthorized')).toMatchObject({ user: 'alice' })
    await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'unauthorized')
    expect(registry.count('GET', '/token')).toBe(4)
  })

  it('is renewed before it ends, and when the registry no longer takes it', async () => {
    await using registry = await registryWith({ kind: 'bearer', expiresIn: 1 })
    await using client = newClient()
    const repository = client.open(registry.host)
    await repository.resolve({ signal: signal() })
    await new Promise((resolve) => setTimeout(resolve, 950))
    await repository.resolve({ signal: signal() })
    expect(log(registry).slice(3)).toEqual(['GET /token none 200', 'GET manifests/v1 bearer 200'])
    registry.revokeTokens()
    await repository.resolve({ signal: signal() })
    expect(log(registry).slice(5)).toEqual(['GET manifests/v1 bearer 401', 'GET /token none 200', 'GET manifests/v1 bearer 200'])
  })

  it('that is refused over and over is renewed twice', async () => {
    await using registry = await registryWith({ kind: 'bearer' }, () => {
      registry.revokeTokens()
      return undefined
    })
    await using client = newClient()
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'denied')
    expect(failure.detail).toContain('UNAUTHORIZED')
    expect(registry.count('GET', '/token')).toBe(2)
  })

  it('survives a leaver: who else waits for it gets it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using registry = await registryWith({ kind: 'bearer' }, ({ path }) =>
      path === '/token' ? { kind: 'hold', until: promise } : undefined,
    )
    await using client = newClient()
    const leaving = new AbortController()
    const leaver = client.open(registry.host).resolve({ signal: leaving.signal })
    const stayer = client.open(registry.host).resolve({ signal: signal() })
    await expect.poll(() => registry.count('GET', '/token')).toBe(1)
    leaving.abort()
    await failureFrom(leaver, 'cancelled')
    resolve()
    expect(await stayer).toBeDefined()
    expect(registry.count('GET', '/token')).toBe(1)
  })

  it.each([
    ['http://169.254.169.254/token', 'link-local'],
    ['file:///token', 'file: is not http or https'],
    ['nonsense', 'not a URL'],
  ])('is not asked for at %s', async (realm, reason) => {
    await using registry = await registryWith({ kind: 'bearer', users, realm })
    await using client = newClient()
    const failure = await failureFrom(
      client.open(registry.host, { credentials: alice }).resolve({ signal: signal() }),
      'malformed',
    )
    expect(failure).toMatchObject({ what: 'authentication challenge', from: registry.host })
    expect(failure.reason).toContain(reason)
  })

  it.each([
    { token: 'abc', access_token: '' },
    { token: '', access_token: 'abc' },
    { token: 'abc', access_token: null },
    { token: 'abc', expires_in: null },
    { token: 'abc', expires_in: '300' },
    { token: 'abc', expires_in: 'soon' },
    { access_token: 'abc', expires_in: [], issued_at: null },
  ])('is taken from an answer such as %j, and kept', async (answer) => {
    await using registry = await startRegistry({
      auth: { kind: 'bearer' },
      fault: ({ path, headers }) => {
        if (path === '/token') return { kind: 'status', status: 200, body: JSON.stringify(answer) }
        return headers.authorization === 'Bearer abc' ? { kind: 'status', status: 404 } : undefined
      },
    })
    await using client = newClient()
    for (let round = 0; round < 2; round++)
      await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'manifest-unknown')
    expect(log(registry).map((line) => line.split(' ').at(-1))).toEqual(['401', '200', '404', '404'])
  })

  it.each([
    ['too large', JSON.stringify({ token: 'x'.repeat(70_000) })],
    ['no JSON', 'welcome'],
    ['without a token', '{"expires_in":5}'],
    ['with empty ones', '{"token":"","access_token":null}'],
    ['that would add a header', '{"token":"a\\r\\nx: y"}'],
  ])('is not taken from an answer %s', async (_, body) => {
    await using registry = await registryWith({ kind: 'bearer' }, ({ path }) =>
      path === '/token' ? { kind: 'status', status: 200, body } : undefined,
    )
    await using client = newClient()
    await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'malformed')
  })
})

describe('a 403', () => {
  it('is a denial with the registry’s words', async () => {
    await using registry = await registryWith({ kind: 'none' }, () => ({ kind: 'status', status: 403, code: 'DENIED' }))
    await using client = newClient()
    const failure = await failureFrom(client.open(registry.host, { credentials: alice }).resolve({ signal: signal() }), 'denied')
    expect(failure).toMatchObject({ user: 'alice', detail: '403 DENIED: made up by the test: DENIED' })
  })
})

describe('credentials', () => {
  it('do not follow a redirect to another origin', async () => {
    await using storage = await startRegistry()
    const bytes = pattern(1000)
    const digest = storage.putBlob(bytes)
    for (const auth of [
      { kind: 'basic', username: 'alice', password: users.alice },
      { kind: 'bearer', users },
    ] satisfies Auth[]) {
      await using registry = await registryWith(auth, ({ path, authorization }) =>
        path.includes('/blobs/') && authorization !== 'none'
          ? { kind: 'redirect', location: `${storage.origin}/v2/x/blobs/${digest}` }
          : undefined,
      )
      await using client = newClient()
      await client.open(registry.host, { credentials: alice }).fetch(layerOf(digest, bytes), new Keeper(), { signal: signal() })
    }
    expect(storage.requests.map(({ authorization }) => authorization)).toEqual(['none', 'none'])
  })

  it('stay behind where a redirect leads to another registry that wants a token: it is asked for an anonymous one', async () => {
    await using other = await startRegistry({ auth: { kind: 'bearer' } })
    const bytes = pattern(1000)
    const digest = other.putBlob(bytes)
    await using registry = await registryWith({ kind: 'bearer', users }, ({ path, authorization }) =>
      path.includes('/blobs/') && authorization !== 'none'
        ? { kind: 'redirect', location: `${other.origin}/v2/x/blobs/${digest}` }
        : undefined,
    )
    await using client = newClient()
    const keeper = new Keeper()
    await client.open(registry.host, { credentials: alice }).fetch(layerOf(digest, bytes), keeper, { signal: signal() })
    expect(keeper.bytes.equals(bytes)).toBe(true)
    expect(
      other.requests.map(
        ({ method, path, authorization, status }) => `${method} ${path.split('/').at(-1)} ${authorization} ${status}`,
      ),
    ).toEqual([`GET ${digest} none 401`, 'GET token none 200', `GET ${digest} bearer 200`])
    const own = registry.requests.map(({ headers }) => headers.authorization)
    expect(
      other.requests.filter(({ headers }) => own.includes(headers.authorization) && headers.authorization !== undefined),
    ).toEqual([])
  })

  it('do not go to a mirror that asks for them', async () => {
    await using registry = await registryWith({ kind: 'basic', username: 'alice', password: users.alice })
    for (const auth of [
      { kind: 'basic', username: 'alice', password: users.alice },
      { kind: 'bearer', users },
    ] satisfies Auth[]) {
      await using mirror = await registryWith(auth)
      using dir = certsDir({ [`${certsName(registry.host)}/hosts.toml`]: `[host."${mirror.origin}"]` })
      await using client = newClient({ hostsDir: dir.path })
      const document = await client.open(registry.host, { credentials: alice }).resolve({ signal: signal() })
      expect(document?.host).toBe(registry.host)
      expect(new Set(mirror.requests.map(({ authorization }) => authorization))).toEqual(new Set(['none']))
    }
  })

  it('in hosts.toml headers go to a realm of the registry itself, and to no other', async () => {
    await using elsewhere = await startRegistry({ auth: { kind: 'bearer' } })
    for (const realm of [undefined, `${elsewhere.origin}/token`]) {
      await using registry = await registryWith({ kind: 'bearer', ...(realm === undefined ? {} : { realm }) })
      using dir = certsDir({
        [`${certsName(registry.host)}/hosts.toml`]: `[host."${registry.origin}".header]\nx-registry-key = "canary"`,
      })
      await using client = newClient({ hostsDir: dir.path })
      // The token from elsewhere is no good here, so only the first succeeds; who was sent what is the question.
      await client
        .open(registry.host)
        .resolve({ signal: signal() })
        .catch((error: unknown) => expect(error).toMatchObject({ failure: { kind: 'denied' } }))
      const asked = (realm === undefined ? registry : elsewhere).requests.filter(({ path }) => path === '/token')
      expect(asked.length).toBeGreaterThan(0)
      expect(asked.every(({ headers }) => headers['x-registry-key'] === (realm === undefined ? 'canary' : undefined))).toBe(true)
    }
  })

  it('show in no event and no failure', async () => {
    const echo = `no entry for alice:${users.alice}`
    await using registry = await registryWith({ kind: 'bearer', users: {} }, ({ path }) =>
      path === '/token'
        ? { kind: 'status', status: 401, body: JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: echo }] }) }
        : undefined,
    )
    await using client = newClient()
    const failure = await failureFrom(
      client.open(registry.host, { credentials: alice }).resolve({ signal: signal() }),
      'unauthorized',
    )
    expect(failure.detail).toContain('no entry for alice:***')
    expect(JSON.stringify([failure, client.events])).not.toContain('canary')
  })
  it('show in no event and no failure where they are the registry’s own, or a header of hosts.toml', async () => {
    await using registry = await registryWith({ kind: 'bearer', users }, ({ path, headers, authorization }) => {
      if (path === '/token') return { kind: 'status', status: 200, body: JSON.stringify({ token: 'canary-issued' }) }
      if (authorization === 'none') return undefined
      const message = `sent: ${JSON.stringify([headers.authorization, headers['x-key']])}`
      return { kind: 'status', status: 403, body: JSON.stringify({ errors: [{ code: 'DENIED', message }] }) }
    })
    using dir = certsDir({
      [`${certsName(registry.host)}/hosts.toml`]: `server = "${registry.origin}"\n[header]\nX-Key = "canary-\\"header"`,
    })
    await using client = newClient({ hostsDir: dir.path })
    const failure = await failureFrom(client.open(registry.host, { credentials: alice }).resolve({ signal: signal() }), 'denied')
    expect(registry.requests.at(-1)?.headers).toMatchObject({ authorization: 'Bearer canary-issued', 'x-key': 'canary-"header' })
    expect(failure.detail).toContain('Bearer ***')
    expect(JSON.stringify([failure, client.events])).not.toContain('canary')
  })
})
