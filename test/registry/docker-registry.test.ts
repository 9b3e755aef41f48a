/** The client against Debian's docker-registry. */
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { failureFrom, Keeper, newClient, pattern, signal } from './client-under-test.ts'
import { basicAuthorization, hasDockerRegistry, login, pushImage, startDockerRegistry } from './docker-registry.ts'

const layer = pattern(5_000_000)
const config = '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
const image = { config, layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', blob: layer }] }
const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha256(layer), size: layer.length }

describe.skipIf(!hasDockerRegistry())('docker-registry', () => {
  it('serves an image over plain HTTP', async () => {
    await using registry = await startDockerRegistry()
    await using client = newClient()
    const pushed = await pushImage({ host: registry.host, repository: 'team/app' }, 'v1', image)
    const repository = client.open(registry.host)
    const document = await repository.resolve({ signal: signal() })
    expect(document?.descriptor).toEqual(pushed)
    expect(await repository.resolve({ signal: signal(), known: pushed.digest })).toBeUndefined()
    const answer = await repository.blob(
      { mediaType: mediaTypes.ociConfig, digest: sha256(config), size: config.length },
      { signal: signal() },
    )
    expect(Buffer.from(answer.bytes).toString()).toBe(config)
    const sink = new Keeper()
    expect(await repository.fetch(blob, sink, { signal: signal() })).toMatchObject({ bytes: layer.length, attempts: 1 })
    expect(sink.bytes.equals(layer)).toBe(true)
    const failure = await failureFrom(client.open(registry.host, { tag: 'v2' }).resolve({ signal: signal() }), 'manifest-unknown')
    expect(failure.tried[0]?.result).toBe('404 MANIFEST_UNKNOWN: manifest unknown')
  })

  it('serves one to those who log in', async () => {
    await using registry = await startDockerRegistry({ auth: 'basic' })
    await using client = newClient()
    await pushImage({ host: registry.host, repository: 'team/app', authorization: basicAuthorization() }, 'v1', image)
    const repository = client.open(registry.host, { credentials: { kind: 'basic', ...login } })
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    const sink = new Keeper()
    await repository.fetch(blob, sink, { signal: signal() })
    expect(sink.bytes.equals(layer)).toBe(true)
    await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'unauthorized')
    const wrong = client.open(registry.host, { credentials: { kind: 'basic', username: login.username, password: 'wrong' } })
    expect(await failureFrom(wrong.resolve({ signal: signal() }), 'unauthorized')).toMatchObject({ user: login.username })
  })
})
