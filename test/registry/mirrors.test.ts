import { describe, expect, it } from 'vitest'
import { describe as describeFailure } from '../../src/failure/failure.ts'
import { sha256 } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { aManifest, certsDir, certsName, failureFrom, Keeper, layerOf, newClient, pattern, signal } from './client-under-test.ts'
import { type RegistryOptions, startRegistry, type TestRegistry } from './embedded-registry.ts'
import { unanswering } from './unanswering.ts'

const bytes = pattern(1_000_000)

async function registryWithImage(options: RegistryOptions = {}) {
  const registry = await startRegistry(options)
  registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  registry.putBlob(bytes)
  return registry
}

const certsFor = (registry: TestRegistry, toml: string) => certsDir({ [`${certsName(registry.host)}/hosts.toml`]: toml })

describe('mirrors', () => {
  it('are asked first and told whose repository is meant', async () => {
    await using registry = await registryWithImage()
    await using mirror = await registryWithImage()
    using dir = certsFor(registry, `[host."${mirror.origin}"]\n[host."${mirror.origin}".header]\nX-Key = "secret"`)
    await using client = newClient({ hostsDir: dir.path })
    expect((await client.open(registry.host).resolve({ signal: signal() }))?.host).toBe(mirror.host)
    expect(mirror.requests[0]?.query.get('ns')).toBe(registry.host)
    expect(mirror.requests[0]?.headers['x-key']).toBe('secret')
    expect(registry.requests).toHaveLength(0)
  })

  it('that lack it, are down or answer wrongly give way to the registry', async () => {
    await using registry = await registryWithImage()
    await using empty = await startRegistry()
    await using failing = await registryWithImage({ fault: () => ({ kind: 'status', status: 500 }) })
    await using lying = await registryWithImage({ fault: () => ({ kind: 'bytes', bytes: Buffer.from('{}') }) })
    const hosts = [empty.origin, failing.origin, lying.origin, 'http://127.0.0.1:1']
      .map((origin) => `[host."${origin}"]`)
      .join('\n')
    using dir = certsFor(registry, hosts)
    await using client = newClient({ hostsDir: dir.path })
    const started = performance.now()
    expect((await client.open(registry.host).resolve({ signal: signal() }))?.host).toBe(registry.host)
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('that do not answer a connection are waited for as long as dial_timeout says', async () => {
    await using registry = await registryWithImage()
    using mirror = await unanswering()
    using dir = certsFor(registry, `[host."http://${mirror.host}"]\ndial_timeout = "300ms"`)
    await using client = newClient({ hostsDir: dir.path, connectTimeoutMs: 60_000 })
    const repository = client.open(registry.host, { tag: 'gone' })
    const failure = await failureFrom(repository.resolve({ signal: signal() }), 'manifest-unknown')
    expect(failure.tried[0]).toMatchObject({ host: mirror.host, result: 'timeout while connecting' })
  })

  it('are all named when nobody has it', async () => {
    await using registry = await registryWithImage()
    await using empty = await startRegistry()
    using dir = certsFor(registry, `[host."http://127.0.0.1:1"]\n[host."${empty.origin}"]`)
    await using client = newClient({ hostsDir: dir.path })
    const failure = await failureFrom(
      client.open(registry.host, { tag: 'gone' }).resolve({ signal: signal() }),
      'manifest-unknown',
    )
    expect(failure.tried.map(({ host, result }) => [host, result.slice(0, 18)])).toEqual([
      ['127.0.0.1:1', 'connection refused'],
      [empty.host, '404 MANIFEST_UNKNO'],
      [registry.host, '404 MANIFEST_UNKNO'],
    ])
  })

  it('are told of, too, when the registry refuses or one of them answered wrongly', async () => {
    await using registry = await registryWithImage({ fault: () => ({ kind: 'status', status: 403, code: 'DENIED' }) })
    await using empty = await startRegistry()
    using dir = certsFor(registry, `[host."${empty.origin}"]`)
    await using client = newClient({ hostsDir: dir.path })
    const denied = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'denied')
    expect(denied).toMatchObject({ host: registry.host, others: [{ host: empty.host, answered: true }] })
    expect(describeFailure(denied)).toMatch(new RegExp(`; also asked: ${empty.host}: 404 `))

    await using lying = await registryWithImage({ fault: () => ({ kind: 'bytes', bytes: Buffer.from('{}') }) })
    const digest = sha256(aManifest)
    using wrong = certsFor(empty, `[host."${lying.origin}"]`)
    await using other = newClient({ hostsDir: wrong.path })
    const mismatch = await failureFrom(other.open(empty.host, { digest }).resolve({ signal: signal() }), 'digest-mismatch')
    expect(mismatch).toMatchObject({ from: lying.host, others: [{ host: empty.host }] })
    expect(describeFailure(mismatch)).toMatch(new RegExp(`^${empty.host}/team/app@${digest}: manifest from ${lying.host} has`))
  })

  it('without resolve are not asked for tags, but for what has a digest', async () => {
    await using registry = await registryWithImage()
    await using mirror = await registryWithImage()
    using dir = certsFor(registry, `[host."${mirror.origin}"]\ncapabilities = ["pull"]`)
    await using client = newClient({ hostsDir: dir.path })
    const document = await client.open(registry.host).resolve({ signal: signal() })
    expect(document?.host).toBe(registry.host)
    expect(mirror.requests).toHaveLength(0)
    const byDigest = client.open(registry.host, {
      digest: registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest),
    })
    expect((await byDigest.resolve({ signal: signal() }))?.host).toBe(mirror.host)
    const transfer = await byDigest.fetch(layerOf(registry.putBlob(bytes), bytes), new Keeper(), { signal: signal() })
    expect(transfer.host).toBe(mirror.host)
  })

  it('that break off within a blob are left, and the registry goes on where they stopped', async () => {
    await using registry = await registryWithImage()
    let round = 0
    await using mirror = await registryWithImage({
      fault: () => (round++ === 0 ? { kind: 'cut', afterBytes: 600_000 } : { kind: 'hang-up' }),
    })
    using dir = certsFor(registry, `[host."${mirror.origin}"]`)
    await using client = newClient({ hostsDir: dir.path })
    const sink = new Keeper()
    const transfer = await client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(transfer.host).toBe(registry.host)
    expect(registry.requests.map(({ range }) => range)).toEqual(['bytes=600000-'])
  })

  it('may serve below a path of their own', async () => {
    await using registry = await registryWithImage()
    await using mirror = await startRegistry()
    mirror.putManifest('cache/team/app', 'v1', aManifest, mediaTypes.ociManifest)
    using dir = certsFor(registry, `[host."${mirror.origin}/v2/cache"]\noverride_path = true`)
    await using client = newClient({ hostsDir: dir.path })
    expect((await client.open(registry.host).resolve({ signal: signal() }))?.host).toBe(mirror.host)
  })

  it('are read from hosts.toml anew for each pull; a broken file fails the pull', async () => {
    await using registry = await registryWithImage()
    using broken = certsFor(registry, 'server = ')
    await using client = newClient({ hostsDir: broken.path })
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'bad-config')
    expect(failure).toMatchObject({ file: `${broken.path}/${certsName(registry.host)}/hosts.toml`, line: 1 })
    expect(registry.requests).toHaveLength(0)
  })

  it('that leave nobody to ask are a matter of the configuration', async () => {
    await using registry = await registryWithImage()
    using dir = certsFor(registry, `server = "${registry.origin}"\ncapabilities = ["pull"]`)
    await using client = newClient({ hostsDir: dir.path })
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'bad-config')
    expect(failure.reason).toContain('may pull and resolve')
  })
})
