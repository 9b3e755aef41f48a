/** The client against Debian's docker-registry. */
import { describe, expect, it } from 'vitest'
import { describe as inWords } from '../../src/failure/failure.ts'
import { sha256 } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { hasOpenssl, makeCertificates } from './certificates.ts'
import { failureFrom, Keeper, newClient, pattern, signal } from './client-under-test.ts'
import { basicAuthorization, hasDockerRegistry, login, pushImage, startDockerRegistry } from './docker-registry.ts'
import { type SigningOptions, startSigningTokenServer } from './signing-token-server.ts'

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

describe.skipIf(!hasDockerRegistry() || !hasOpenssl)('docker-registry that sends to a token server', () => {
  const { ca, server: signer } = makeCertificates()

  async function start(options: Partial<SigningOptions> = {}) {
    await using resources = new AsyncDisposableStack()
    const users = { [login.username]: login.password }
    const tokens = resources.use(await startSigningTokenServer({ ca, signer, users, ...options }))
    const registry = resources.use(await startDockerRegistry({ auth: tokens.tokens }))
    const client = resources.use(newClient())
    const owned = resources.move()
    return { tokens, registry, client, [Symbol.asyncDispose]: () => owned.disposeAsync() }
  }
  const pushTo = async ({ tokens, registry }: Awaited<ReturnType<typeof start>>) => {
    const authorization = `Bearer ${tokens.tokenFor('repository:team/app:pull,push')}`
    await pushImage({ host: registry.host, repository: 'team/app', authorization }, 'v1', image)
  }
  const basic = { kind: 'basic', ...login } as const

  it('serves who has a token of it; one is asked for, and used for everything', async () => {
    await using at = await start()
    await pushTo(at)
    const repository = at.client.open(at.registry.host, { credentials: basic })
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    const sink = new Keeper()
    await repository.fetch(blob, sink, { signal: signal() })
    expect(sink.bytes.equals(layer)).toBe(true)
    expect(at.tokens.asked).toEqual(['GET repository:team/app:pull as windlass 200'])
  })

  it('takes an identity token for a login', async () => {
    await using at = await start({ refreshToken: 'an-identity' })
    await pushTo(at)
    const repository = at.client.open(at.registry.host, { credentials: { kind: 'identity-token', token: 'an-identity' } })
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    expect(at.tokens.asked).toEqual(['POST repository:team/app:pull as the refreshed 200'])
  })

  it('refuses a token that is over: another is fetched', async () => {
    await using at = await start()
    await pushTo(at)
    at.tokens.endEarly(1)
    expect(await at.client.open(at.registry.host, { credentials: basic }).resolve({ signal: signal() })).toBeDefined()
    expect(at.tokens.asked).toHaveLength(2)
  })

  it('serves nobody else: without a login, with a wrong one, with a token that allows nothing', async () => {
    await using at = await start()
    const asks = async (as: Parameters<typeof at.client.open>[1]) =>
      inWords(await failureFrom(at.client.open(at.registry.host, as).resolve({ signal: signal() }), 'unauthorized'))
    expect(await asks({})).toContain(at.registry.host)
    const wrong = await asks({ credentials: { ...basic, password: 'wrong-password' } })
    expect(wrong).toContain(login.username)
    expect(wrong).not.toContain('wrong-password')
    expect(at.tokens.asked.map((each) => each.slice(-10))).toEqual(['nobody 401', 'nobody 401'])

    await using bare = await start({ grantsNothing: true })
    const denied = bare.client.open(bare.registry.host, { credentials: basic }).resolve({ signal: signal() })
    expect(await failureFrom(denied, 'denied')).toMatchObject({ user: login.username, host: bare.registry.host })
    expect(bare.tokens.asked.length).toBeLessThanOrEqual(3)
  })
})
