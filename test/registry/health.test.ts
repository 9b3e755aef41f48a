import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import { HostHealth } from '../../src/registry/health.ts'
import type { Host } from '../../src/registry/hosts.ts'
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
