import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import type { Result } from '../../src/registry/errors.ts'
import { HostHealth } from '../../src/registry/health.ts'
import type { Host } from '../../src/registry/hosts.ts'
import { walk } from '../../src/registry/walk.ts'
import { aManifest, certsDir, certsName, failureFrom, Keeper, layerOf, newClient, pattern, signal } from './client-under-test.ts'
import { type LoggedRequest, type RegistryOptions, startRegistry, type TestRegistry } from './embedded-registry.ts'

const bytes = pattern(1_000_000)

async function registryWithImage(options: RegistryOptions = {}) {
  const registry = await startRegistry(options)
  registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  registry.putBlob(bytes)
  return registry
}

const certsFor = (registry: TestRegistry, ...mirrors: readonly TestRegistry[]) =>
  certsDir({ [`${certsName(registry.host)}/hosts.toml`]: mirrors.map(({ origin }) => `[host."${origin}"]`).join('\n') })

const host = (name: string) => ({ name }) as Host

describe('the memory of hosts', () => {
  it('puts those that failed behind the others, for longer each time, until they deliver again', () => {
    let now = 0
    const health = new HostHealth(() => now)
    const [mirror, registry] = [host('mirror'), host('registry')]
    const order = () => health.order([mirror, registry]).up.map(({ name }) => name)
    expect(order()).toEqual(['mirror', 'registry'])
    health.failed(mirror)
    // Those who were waiting for it at the same time found the same.
    health.failed(mirror)
    expect(order()).toEqual(['registry'])
    now = 40_000
    expect(order()).toEqual(['mirror', 'registry'])
    health.failed(mirror)
    now = 80_000
    expect(order()).toEqual(['registry'])
    now = 120_000
    health.served(mirror)
    health.failed(mirror)
    now = 160_000
    expect(order()).toEqual(['mirror', 'registry'])
  })

  it('keeps the order where all of them failed', () => {
    const health = new HostHealth(() => 0)
    const hosts = [host('mirror'), host('registry')]
    for (const each of hosts) health.failed(each)
    expect(health.order(hosts)).toEqual({ up: hosts, down: [] })
  })

  it('has one caller try in the middle of a long pause, now and then, and ends it where that one is answered', () => {
    let now = 0
    const health = new HostHealth(() => now)
    const registry = host('registry')
    health.pause(registry, 3_600_000, 'rate-limited')
    expect(health.enter(registry)).toEqual({ kind: 'rate-limited', leftMs: 3_600_000 })
    // To a request from before the pause, say.
    health.answered(registry)
    now = 299_000
    expect(health.enter(registry)?.leftMs).toBe(3_301_000)
    for (now of [300_000, 330_000]) {
      expect(health.enter(registry)).toBeUndefined()
      expect(health.enter(registry)?.leftMs).toBe(3_600_000 - now)
    }
    health.pause(registry, 60_000, 'server-error')
    expect(health.enter(registry)).toEqual({ kind: 'server-error', leftMs: 60_000 })
    health.pause(registry, 3_600_000, 'rate-limited')
    now = 700_000
    expect(health.enter(registry)).toBeUndefined()
    health.served(registry)
    expect(health.enter(registry)).toBeUndefined()
  })

  it('has one pull of many try, and the others fail at once meanwhile', async () => {
    let now = 0
    let asked = 0
    const health = new HostHealth(() => now)
    const { promise, resolve } = Promise.withResolvers<Result<string>>()
    const pull = (answer: Result<string> | Promise<Result<string>>) => {
      const wanted = { reference: 'app', absent: () => ({ kind: 'internal', what: 'nobody said so' }) as const }
      const options = { hosts: [host('registry')], path: '', wanted, health, pace: {}, log: () => {}, signal: signal() }
      return walk(options, async () => {
        asked++
        return await answer
      })
    }
    const limited: Result<string> = { trouble: { kind: 'rate-limited', result: '429', retryAfterMs: 3_600_000 } }
    await failureFrom(pull(limited), 'rate-limited')
    now = 300_000
    const first = pull(promise)
    for (let time = 0; time < 3; time++) expect((await failureFrom(pull(limited), 'rate-limited')).retryAfterSeconds).toBe(3_300)
    expect(asked).toBe(2)
    resolve({ value: 'the manifest' })
    expect(await first).toBe('the manifest')
    expect(await pull({ value: 'another' })).toBe('another')
  })

  it('keeps the host that is asked for, whatever names pods make up', () => {
    const health = new HostHealth(() => 0)
    const [mirror, registry] = [host('mirror'), host('registry')]
    health.pause(registry, 60_000, 'rate-limited')
    health.failed(mirror)
    for (let at = 0; at < 3_000; at++) {
      health.pause(host(`made-up-${at}`), 60_000, 'rate-limited')
      health.failed(host(`made-up-${at}`))
      if (at % 500 === 0) health.order([mirror, registry])
      if (at % 500 === 0) health.enter(registry)
    }
    expect(health.enter(registry)).toBeDefined()
    expect(health.order([mirror, registry]).up).toEqual([registry])
    expect(health.enter(host('made-up-0'))).toBeUndefined()
  })
})

describe('a mirror that is down', () => {
  it('costs the first pull its tries, and the next ones nothing, until it is back', async () => {
    await using registry = await registryWithImage()
    await using mirror = await registryWithImage({ fault: () => ({ kind: 'status', status: 503 }) })
    using dir = certsFor(registry, mirror)
    await using client = newClient({ hostsDir: dir.path })
    const resolve = async () => (await client.open(registry.host).resolve({ signal: signal() }))?.host
    expect(await resolve()).toBe(registry.host)
    expect(mirror.requests).toHaveLength(2)
    expect([await resolve(), await resolve()]).toEqual([registry.host, registry.host])
    expect(mirror.requests).toHaveLength(2)
  })

  it('is asked nevertheless where nobody else delivers', async () => {
    let isDown = true
    await using registry = await registryWithImage()
    await using mirror = await registryWithImage({ fault: () => (isDown ? { kind: 'hang-up' } : undefined) })
    using dir = certsFor(registry, mirror)
    await using client = newClient({ hostsDir: dir.path })
    await client.open(registry.host).resolve({ signal: signal() })
    isDown = false
    registry.fault = () => ({ kind: 'status', status: 404 })
    expect((await client.open(registry.host).resolve({ signal: signal() }))?.host).toBe(mirror.host)
  })

  it.each([
    ['answers nothing', 0],
    ['falls silent within a layer', 400_000],
  ])('and %s is left within 5 s, and the next one goes on', async (_, afterBytes) => {
    const { promise: never } = Promise.withResolvers<void>()
    await using registry = await registryWithImage()
    await using mirror = await registryWithImage({
      fault: () => (afterBytes === 0 ? { kind: 'hold', until: never } : { kind: 'stall', afterBytes, until: never }),
    })
    using dir = certsFor(registry, mirror)
    await using client = newClient({ hostsDir: dir.path, progressTimeoutMs: 60_000 })
    const sink = new Keeper()
    const started = performance.now()
    const transfer = await client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
    expect(performance.now() - started).toBeLessThan(6_000)
    expect(transfer.host).toBe(registry.host)
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(mirror.requests).toHaveLength(1)
    expect(registry.requests.map(({ range }) => range)).toEqual([afterBytes === 0 ? undefined : `bytes=${afterBytes}-`])
  })

  it('is waited for in the end where it is only slow, and the registry cannot be reached', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using registry = await registryWithImage()
    registry.fault = () => {
      resolve()
      return { kind: 'hang-up' }
    }
    await using mirror = await registryWithImage({ fault: () => ({ kind: 'hold', until: promise }) })
    using dir = certsFor(registry, mirror)
    await using client = newClient({ hostsDir: dir.path, progressTimeoutMs: 60_000 })
    expect((await client.open(registry.host).resolve({ signal: signal() }))?.host).toBe(mirror.host)
  })
})

describe('429', () => {
  const limitedOnce = (retryAfter: string) => {
    let isFirst = true
    return (request: LoggedRequest) => {
      if (!request.path.includes('/blobs/') || !isFirst) return undefined
      isFirst = false
      return { kind: 'status', status: 429, headers: { 'retry-after': retryAfter } } as const
    }
  }

  it.each(['2', () => new Date(Date.now() + 3_000).toUTCString()])(
    'is sat out once by all pulls of that host (Retry-After: %s)',
    async (retryAfter) => {
      await using registry = await registryWithImage()
      await using client = newClient()
      const text = typeof retryAfter === 'string' ? retryAfter : retryAfter()
      const { promise: refused, resolve: isRefused } = Promise.withResolvers<void>()
      const fault = limitedOnce(text)
      registry.fault = (request) => {
        const answer = fault(request)
        if (answer !== undefined) setImmediate(isRefused)
        return answer
      }
      const started = performance.now()
      const fetchOne = () =>
        client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), new Keeper(), { signal: signal() })
      const first = fetchOne()
      await refused
      await expect.poll(() => client.events.filter(({ type }) => type === 'retry').length).toBe(1)
      await Promise.all([first, fetchOne(), fetchOne(), fetchOne()])
      expect(performance.now() - started).toBeGreaterThan(1_900)
      // One refusal, and one request each: nobody asked in between.
      expect(registry.requests.map(({ status }) => status)).toEqual([429, 200, 200, 200, 200])
    },
  )

  it('of a mirror is not sat out: the next one is asked, by all', async () => {
    await using registry = await registryWithImage()
    await using mirror = await registryWithImage({
      fault: () => ({ kind: 'status', status: 429, headers: { 'retry-after': '30' } }),
    })
    using dir = certsFor(registry, mirror)
    await using client = newClient({ hostsDir: dir.path })
    const resolve = async () => (await client.open(registry.host).resolve({ signal: signal() }))?.host
    expect([await resolve(), await resolve()]).toEqual([registry.host, registry.host])
    expect(mirror.requests).toHaveLength(1)
  })

  it.each([
    ['400 digits', '9'.repeat(400)],
    ['the year 9999', 'Fri, 31 Dec 9999 23:59:59 GMT'],
  ])('for longer than a day is for a day (Retry-After: %s)', async (_, text) => {
    await using registry = await registryWithImage({
      fault: () => ({ kind: 'status', status: 429, headers: { 'retry-after': text } }),
    })
    await using client = newClient()
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'rate-limited')
    expect(failure.retryAfterSeconds).toBe(86_400)
  })

  it('of a token server is for the login it was said to', async () => {
    await using registry = await registryWithImage({ auth: { kind: 'bearer', users: { alice: 'a', bob: 'b' } } })
    registry.fault = ({ path, query }) =>
      path === '/token' && query.get('account') === 'alice'
        ? { kind: 'status', status: 429, headers: { 'retry-after': '3600' } }
        : undefined
    await using client = newClient()
    const as = (username: string, password: string, repository = 'team/app') =>
      client.open(registry.host, { credentials: { kind: 'basic', username, password }, repository }).resolve({ signal: signal() })
    expect((await failureFrom(as('alice', 'a'), 'rate-limited')).host).toBe(`token server ${registry.host}`)
    expect((await as('bob', 'b'))?.host).toBe(registry.host)
    const asked = registry.count('GET', '/token')
    const failure = await failureFrom(as('alice', 'a', 'team/other'), 'rate-limited')
    expect(failure.retryAfterSeconds).toBeGreaterThan(3590)
    expect(registry.count('GET', '/token')).toBe(asked)
  })

  it.each([429, 503])('or %i of whom a redirect leads to keeps nobody from the registry', async (status) => {
    await using storage = await startRegistry({
      fault: () => ({ kind: 'status', status, headers: { 'retry-after': '3600' } }),
    })
    await using registry = await registryWithImage({
      fault: ({ path }) => (path.includes('/blobs/') ? { kind: 'redirect', location: `${storage.origin}/blob` } : undefined),
    })
    await using client = newClient()
    const layer = layerOf(registry.putBlob(bytes), bytes)
    const refused = client.open(registry.host).fetch(layer, new Keeper(), { signal: signal() })
    await failureFrom(refused, status === 429 ? 'rate-limited' : 'registry-unavailable')
    expect((await client.open(registry.host).resolve({ signal: signal() }))?.host).toBe(registry.host)
  })

  it('for longer than a minute fails at once, for all, and says for how long', async () => {
    await using registry = await registryWithImage({
      fault: () => ({ kind: 'status', status: 429, headers: { 'retry-after': '3600' } }),
    })
    await using client = newClient()
    const resolve = () => failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'rate-limited')
    expect((await resolve()).retryAfterSeconds).toBe(3600)
    expect((await resolve()).retryAfterSeconds).toBeGreaterThan(3590)
    expect(registry.requests).toHaveLength(1)
  })
})
