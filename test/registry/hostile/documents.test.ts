/** The hostile registry, rows R1 to R15 and R26 to R30: challenges, redirects, documents. Rows tested elsewhere are in rows.test.ts. */
import { describe, expect, it } from 'vitest'
import { failureOf } from '../../../src/failure/failure.ts'
import { sha256 } from '../../../src/oci/digest.ts'
import { mediaTypes } from '../../../src/oci/oci.ts'
import { chooseChallenge } from '../../../src/registry/challenge.ts'
import type { Credentials } from '../../../src/registry/registry.ts'
import { openLab } from '../../pull/lab.ts'
import { buildImage, buildIndex, buildLayer } from '../../support/image.ts'
import { createRandom } from '../../support/random.ts'
import { aManifest, failureFrom, Keeper, layerOf, newClient, pattern, signal } from '../client-under-test.ts'
import { startRegistry } from '../embedded-registry.ts'

const alice: Credentials = { kind: 'basic', username: 'alice', password: 'canary-pw' }
const bytes = pattern(1_000)
const CHUNKS = 200_000

describe('the hostile registry', () => {
  it('R3 redirects in 1,000 random chains: no other origin ever sees the login', async () => {
    const random = createRandom(3)
    await using near = await startRegistry()
    await using far = await startRegistry()
    await using registry = await startRegistry({ auth: { kind: 'basic', username: 'alice', password: 'canary-pw' } })
    const digest = registry.putBlob(bytes)
    near.putBlob(bytes)
    far.putBlob(bytes)
    const all = [registry, near, far] as const
    for (const each of all) {
      each.fault = ({ path, query, authorization }) => {
        if (!path.includes('/blobs/') || (each === registry && authorization === 'none' && !query.has('hops'))) return undefined
        const hops = Number(query.get('hops') ?? random.below(5))
        if (hops === 0) return undefined
        return { kind: 'redirect', location: `${random.pick(all).origin}/v2/team/app/blobs/${digest}?hops=${hops - 1}` }
      }
    }
    await using client = newClient()
    const repository = client.open(registry.host, { credentials: alice })
    let refused = 0
    for (let batch = 0; batch < 50; batch++) {
      const chains = Array.from({ length: 20 }, () =>
        repository.fetch(layerOf(digest, bytes), new Keeper(), { signal: AbortSignal.timeout(60_000) }).catch(() => refused++),
      )
      await Promise.all(chains)
    }
    // Those that end at the registry, by way of another origin, come without a login.
    expect(refused).toBeLessThan(1_000)
    for (const other of [near, far]) {
      expect(other.requests.length).toBeGreaterThan(500)
      expect(other.requests.filter(({ authorization }) => authorization !== 'none')).toEqual([])
      expect(JSON.stringify(other.requests.map(({ headers, path }) => [headers, path]))).not.toContain('canary')
    }
  }, 180_000)

  it.each([
    ['anybody', { kind: 'bearer' } as const, true],
    ['alice', { kind: 'bearer', users: { alice: 'canary-pw' } } as const, false],
  ])('R4 redirects to one who wants a login of %s: anonymous there, whoever it is at the registry', async (_, auth, isOpen) => {
    await using storage = await startRegistry({ auth })
    const digest = storage.putBlob(bytes)
    await using registry = await startRegistry({
      auth: { kind: 'basic', username: 'alice', password: 'canary-pw' },
      fault: ({ authorization }) =>
        authorization === 'none' ? undefined : { kind: 'redirect', location: `${storage.origin}/v2/team/app/blobs/${digest}` },
    })
    await using client = newClient()
    const repository = client.open(registry.host, { credentials: alice })
    const work = repository.fetch(layerOf(digest, bytes), new Keeper(), { signal: signal() })
    if (isOpen) expect((await work).bytes).toBe(bytes.length)
    else await failureFrom(work, 'unauthorized')
    expect(storage.count('GET', '/token')).toBeGreaterThan(0)
    expect(storage.requests.filter(({ authorization }) => authorization === 'basic')).toEqual([])
    expect(JSON.stringify(storage.requests.map(({ query, headers }) => [[...query], headers]))).not.toMatch(/canary|alice/)
  })

  it('R5 challenges with whatever comes to its mind: read in time, or not at all', () => {
    const random = createRandom(5)
    const parts = [
      'Bearer',
      'Basic',
      ' ',
      ',',
      '=',
      '"',
      '\\',
      'realm',
      'scope',
      'https://a/',
      'x'.repeat(900),
      '\t',
      '\u00e9',
      ';',
    ]
    const pick = () => parts[random.below(parts.length)] ?? ''
    const started = performance.now()
    for (let at = 0; at < 20_000; at++) {
      const header = Array.from({ length: random.below(40) }, pick).join('')
      const challenge = chooseChallenge(random.chance(0.2) ? [header, header] : header)
      if (challenge?.scheme === 'bearer') expect(typeof challenge.realm).toBe('string')
    }
    expect(performance.now() - started).toBeLessThan(20_000)
  })

  it('R9 refuses with an error that never ends: its beginning is read', async () => {
    let written = 0
    await using registry = await startRegistry({
      fault: () => ({
        kind: 'raw',
        answer: (socket) => {
          socket.on('error', () => {})
          socket.write('HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\n\r\n')
          const more = (): void => {
            while (!socket.destroyed && socket.write('no '.repeat(10_000))) written++
            if (!socket.destroyed) socket.once('drain', more)
          }
          more()
        },
      }),
    })
    await using client = newClient()
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'denied')
    expect(failure.detail.length).toBeLessThan(400)
    expect(written).toBeLessThan(1_000)
  })

  it.each<[string, string, number, number | string]>([
    ['R8', 'a manifest', 200, CHUNKS],
    ['R9', 'an error', 400, 'malformed'],
  ])('%s sends %s in chunks of one byte: each costs no more than the first', async (_, __, status, expected) => {
    await using registry = await startRegistry({
      fault: () => ({
        kind: 'raw',
        answer: (socket) => {
          socket.on('error', () => {})
          socket.write(`HTTP/1.1 ${status} As it is\r\ntransfer-encoding: chunked\r\n\r\n`)
          socket.end(`${'1\r\nx\r\n'.repeat(CHUNKS)}0\r\n\r\n`)
        },
      }),
    })
    await using client = newClient()
    const started = performance.now()
    const outcome = client.open(registry.host).resolve({ signal: signal() })
    expect(
      await outcome.then(
        (document) => document?.bytes.length,
        (error: unknown) => failureOf(error).kind,
      ),
    ).toBe(expected)
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  describe('R12 sends a field twice', () => {
    async function answeredWith(status: number, fields: string, body: string | Uint8Array) {
      const registry = await startRegistry({
        fault: () => ({
          kind: 'raw',
          answer: (socket) => {
            socket.write(`HTTP/1.1 ${status} As it is\r\ncontent-length: ${body.length}\r\n${fields}\r\n`)
            socket.write(body)
          },
        }),
      })
      const client = newClient()
      return {
        repository: client.open(registry.host),
        async [Symbol.asyncDispose]() {
          await client[Symbol.asyncDispose]()
          await registry[Symbol.asyncDispose]()
        },
      }
    }

    it.each([
      [
        'the same',
        'content-type: a/b\r\ncontent-type: a/b\r\ncontent-encoding: identity\r\ncontent-encoding: identity\r\n',
        'a/b',
      ],
      ['another', 'content-type: a/b\r\ncontent-type: c/d\r\n', 'a/b, c/d'],
    ])('and %s: a type is what it is twice, or none that anybody knows', async (_, fields, mediaType) => {
      await using asked = await answeredWith(200, fields, '{}')
      expect((await asked.repository.resolve({ signal: signal() }))?.descriptor.mediaType).toBe(mediaType)
    })

    it('and another: what is encoded may not be', async () => {
      await using asked = await answeredWith(200, 'content-encoding: identity\r\ncontent-encoding: gzip\r\n', '{}')
      await failureFrom(asked.repository.resolve({ signal: signal() }), 'malformed')
    })

    it('and another: digests are not believed', async () => {
      const digests = ['a', 'b'].map((digit) => `docker-content-digest: sha256:${digit.repeat(64)}\r\n`)
      await using asked = await answeredWith(200, digests.join(''), '{}')
      await failureFrom(asked.repository.resolve({ signal: signal() }), 'digest-mismatch')
    })

    it('and another: ETags are one of two parts', async () => {
      await using asked = await answeredWith(200, 'etag: "a"\r\netag: "b"\r\n', bytes)
      const sink = new Keeper()
      await asked.repository.fetch(layerOf(sha256(bytes), bytes), sink, { signal: signal() })
      expect(sink.bytes.equals(bytes)).toBe(true)
    })

    it('and another: Locations lead nowhere', async () => {
      await using asked = await answeredWith(307, 'location: /a\r\nlocation: /b\r\n', '')
      const failure = await failureFrom(asked.repository.resolve({ signal: signal() }), 'malformed')
      expect(failure.reason).toContain('two Locations')
    })
  })

  it('R9 names a config of more than 4 MiB: not asked for', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const config = { ...layerOf(registry.putBlob(bytes), bytes), size: 4 * 1024 * 1024 + 1 }
    await failureFrom(client.open(registry.host).blob(config, { signal: signal() }), 'malformed')
    expect(registry.requests).toHaveLength(0)
  })

  it('R10 nests indexes without an end in sight: followed four deep', async () => {
    await using lab = await openLab()
    const image = buildImage({ layers: [buildLayer({ tar: [{ name: 'a', content: 'a' }] })] })
    const request = lab.publish('deep:1', buildIndex([image]))
    let inner = lab.registry.putManifest('deep', '0', image.bytes, image.descriptor.mediaType)
    let size = image.bytes.length
    let mediaType: string = image.descriptor.mediaType
    for (let depth = 1; depth <= 6; depth++) {
      const manifests = [{ mediaType, digest: inner, size, platform: { os: 'linux', architecture: 'amd64' } }]
      const index = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
      mediaType = mediaTypes.ociIndex
      size = index.length
      inner = lab.registry.putManifest('deep', '1', index, mediaType)
    }
    expect(await lab.refusal(request)).toMatchObject({ kind: 'malformed', reason: 'indexes nest deeper than 4' })
    expect(lab.registry.requests.length).toBeLessThan(8)
  })

  it('R27 says that a layer is to be had elsewhere: nobody is asked there', async () => {
    await using elsewhere = await startRegistry()
    await using lab = await openLab()
    const layer = buildLayer({ tar: [{ name: 'a', content: 'a' }] })
    const image = buildImage({ layers: [layer] })
    const request = lab.publish('foreign:1', image)
    elsewhere.putBlob(layer.blob)
    const urls = [`${elsewhere.origin}/v2/x/blobs/${layer.descriptor.digest}`]
    const manifest = JSON.parse(image.bytes.toString())
    for (const each of manifest.layers) each.urls = urls
    lab.registry.putManifest('foreign', '1', JSON.stringify(manifest), image.descriptor.mediaType)
    lab.registry.removeBlob(layer.descriptor.digest)
    expect(await lab.refusal(request)).toMatchObject({ kind: 'blob-unknown' })
    expect(elsewhere.requests).toEqual([])
  })

  it('R30 redirects to where it is already, relatively: followed, with the login', async () => {
    await using registry = await startRegistry({ auth: { kind: 'basic', username: 'alice', password: 'canary-pw' } })
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    registry.fault = ({ query, authorization }) =>
      query.has('there') || authorization === 'none' ? undefined : { kind: 'redirect', location: '?there=1' }
    await using client = newClient()
    const document = await client.open(registry.host, { credentials: alice }).resolve({ signal: signal() })
    expect(document?.host).toBe(registry.host)
  })
})
