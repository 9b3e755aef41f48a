import { describe, expect, it } from 'vitest'
import { parseDigest, sha256 } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { aManifest, failureFrom, newClient, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'

describe('resolve', () => {
  it('gives the document a tag names, with the type the document says', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const digest = registry.putManifest('team/app', 'v1', aManifest, 'application/octet-stream; charset=utf-8')
    const document = await client.open(registry.host).resolve({ signal: signal() })
    expect(document).toMatchObject({
      descriptor: { digest, size: aManifest.length, mediaType: mediaTypes.ociManifest },
      host: registry.host,
    })
    expect(Buffer.from(document?.bytes ?? '').toString()).toBe(aManifest)
    expect(registry.requests.at(-1)?.headers).toMatchObject({ 'user-agent': 'windlass-test', 'accept-encoding': 'identity' })
    expect(registry.requests.at(-1)?.headers.accept).toContain(mediaTypes.dockerList)
  })

  it('takes the type of the header, without parameters, where the document has none', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    registry.putManifest('team/app', 'v1', '{"schemaVersion":2}', `${mediaTypes.dockerManifest}; charset=utf-8`)
    expect((await client.open(registry.host).resolve({ signal: signal() }))?.descriptor.mediaType).toBe(mediaTypes.dockerManifest)
  })

  it('asks once with HEAD when a digest is on record, and knows that nothing has moved', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const known = registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    expect(await client.open(registry.host).resolve({ signal: signal(), known })).toBeUndefined()
    expect(registry.requests.map(({ method }) => method)).toEqual(['HEAD'])
    const next = registry.putManifest('team/app', 'v1', `${aManifest} `, mediaTypes.ociManifest)
    expect((await client.open(registry.host).resolve({ signal: signal(), known }))?.descriptor.digest).toBe(next)
  })

  it.each([405, 403, 404, 500])('lets GET tell where HEAD is answered with %d', async (status) => {
    await using registry = await startRegistry({
      fault: ({ method }) => (method === 'HEAD' ? { kind: 'status', status } : undefined),
    })
    await using client = newClient()
    const known = registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    expect((await client.open(registry.host).resolve({ signal: signal(), known }))?.descriptor.digest).toBe(known)
  })

  it('holds the bytes against the digest of the reference, and against the announced one for a tag', async () => {
    await using registry = await startRegistry({
      fault: ({ path }) => (path.includes('/manifests/') ? { kind: 'bytes', bytes: Buffer.from('{}') } : undefined),
    })
    await using client = newClient()
    const want = registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    const mismatch = { what: 'manifest', want, got: sha256('{}'), from: registry.host }
    expect(
      await failureFrom(client.open(registry.host, { digest: want }).resolve({ signal: signal() }), 'digest-mismatch'),
    ).toMatchObject(mismatch)
    expect(await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'digest-mismatch')).toMatchObject(mismatch)
  })

  it('says which hosts were asked for what is not there', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const failure = await failureFrom(client.open(registry.host, { tag: 'v9' }).resolve({ signal: signal() }), 'manifest-unknown')
    expect(failure).toEqual({
      kind: 'manifest-unknown',
      reference: `${registry.host}/team/app:v9`,
      tried: [{ host: registry.host, result: '404 MANIFEST_UNKNOWN: manifests unknown to registry', answered: true }],
    })
  })

  it.each(['application/vnd.docker.distribution.manifest.v1+prettyjws', undefined])(
    'refuses schema 1 with a hint (%s)',
    async (type) => {
      await using registry = await startRegistry()
      await using client = newClient()
      registry.putManifest('team/app', 'v1', '{"schemaVersion":1,"signatures":[]}', type ?? 'application/json')
      expect((await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'unsupported')).hint).toContain(
        'push it again',
      )
    },
  )

  it.each([false, true])('cuts a document off at 4 MiB (chunked: %s)', async (chunked) => {
    const bytes = Buffer.alloc(30_000_000, 32)
    await using registry = await startRegistry({ fault: () => ({ kind: 'bytes', bytes, chunked }) })
    await using client = newClient()
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'malformed')
    expect(failure.reason).toContain('more than 4194304 bytes')
    await expect.poll(() => registry.requests.at(-1)?.aborted).toBe(true)
  })

  it('refuses an encoded answer: it did not ask for one', async () => {
    await using registry = await startRegistry({ fault: () => ({ kind: 'headers', headers: { 'content-encoding': 'gzip' } }) })
    await using client = newClient()
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    expect((await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'malformed')).reason).toContain('gzip')
  })

  it('probes HTTPS once, not for every request', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    for (let round = 0; round < 3; round++) await client.open(registry.host).resolve({ signal: signal() })
    expect(client.events.filter(({ type }) => type === 'plain-http')).toHaveLength(1)
  })
})

describe('manifest and blob', () => {
  it('give what the descriptor says, and nothing else', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const repository = client.open(registry.host)
    const digest = registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    const descriptor = { mediaType: mediaTypes.ociManifest, digest, size: aManifest.length }
    expect((await repository.manifest(descriptor, { signal: signal() })).descriptor).toEqual(descriptor)
    expect(
      await failureFrom(repository.manifest({ ...descriptor, size: 5 }, { signal: signal() }), 'size-mismatch'),
    ).toMatchObject({ want: 5, got: aManifest.length })
    const config = registry.putBlob('{"os":"linux"}')
    const answer = await repository.blob({ mediaType: mediaTypes.ociConfig, digest: config, size: 14 }, { signal: signal() })
    expect(Buffer.from(answer.bytes).toString()).toBe('{"os":"linux"}')
    const absent = { mediaType: mediaTypes.ociConfig, digest: parseDigest(`sha256:${'0'.repeat(64)}`), size: 3 }
    expect((await failureFrom(repository.blob(absent, { signal: signal() }), 'blob-unknown')).digest).toBe(absent.digest)
    await failureFrom(repository.blob({ ...absent, size: 5_000_000 }, { signal: signal() }), 'malformed')
  })
})

describe('a registry in trouble', () => {
  it('is asked again after 503 and cut connections', async () => {
    let round = 0
    await using registry = await startRegistry({
      fault: () => [{ kind: 'status', status: 503 } as const, { kind: 'hang-up' } as const][round++],
    })
    await using client = newClient()
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    expect(await client.open(registry.host).resolve({ signal: signal() })).toBeDefined()
    expect(registry.requests).toHaveLength(3)
  })

  it('is given up after five answers of 500, with the reason', async () => {
    await using registry = await startRegistry({ fault: () => ({ kind: 'status', status: 500, code: 'UNKNOWN' }) })
    await using client = newClient()
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'registry-unavailable')
    expect(failure.tried).toEqual([{ host: registry.host, result: '500 UNKNOWN: made up by the test: UNKNOWN', answered: true }])
    expect(registry.requests).toHaveLength(5)
  })

  it.each([
    [400, 'NAME_INVALID', 'invalid-reference'],
    [400, undefined, 'malformed'],
    [451, undefined, 'malformed'],
  ] as const)('that answers %d %s is asked once', async (status, code, kind) => {
    await using registry = await startRegistry({
      fault: () => ({ kind: 'status', status, ...(code === undefined ? {} : { code }) }),
    })
    await using client = newClient()
    await failureFrom(client.open(registry.host).resolve({ signal: signal() }), kind)
    expect(registry.requests).toHaveLength(1)
  })

  it('is waited for as long as Retry-After says', async () => {
    let times = 0
    await using registry = await startRegistry({
      fault: () => (times++ === 0 ? { kind: 'status', status: 429, headers: { 'retry-after': '1' } } : undefined),
    })
    await using client = newClient()
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    const started = performance.now()
    await client.open(registry.host).resolve({ signal: signal() })
    expect(performance.now() - started).toBeGreaterThanOrEqual(1_000)
  })

  it('that wants an hour is told to the caller at once', async () => {
    await using registry = await startRegistry({
      fault: () => ({ kind: 'status', status: 429, code: 'TOOMANYREQUESTS', headers: { 'retry-after': '3600' } }),
    })
    await using client = newClient()
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'rate-limited')
    expect(failure).toMatchObject({ host: registry.host, retryAfterSeconds: 3600 })
    expect(registry.requests).toHaveLength(1)
  })

  it('that is not there is named with the reason', async () => {
    await using client = newClient()
    const refused = await failureFrom(client.open('127.0.0.1:1').resolve({ signal: signal() }), 'registry-unavailable')
    expect(refused.tried).toEqual([{ host: '127.0.0.1:1', result: 'connection refused' }])
  })

  it('that never answers is given up after the timeout', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using registry = await startRegistry({ fault: () => ({ kind: 'hold', until: promise }) })
    await using client = newClient({ progressTimeoutMs: 150 })
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'registry-unavailable')
    expect(failure.tried[0]?.result).toBe('timeout while waiting for an answer')
    resolve()
  })

  it('does not hold up a caller who leaves', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using registry = await startRegistry({ fault: () => ({ kind: 'hold', until: promise }) })
    await using client = newClient()
    const leaving = new AbortController()
    const work = client.open(registry.host).resolve({ signal: leaving.signal })
    await expect.poll(() => registry.requests.length).toBe(1)
    leaving.abort()
    expect(await failureFrom(work, 'cancelled')).toMatchObject({ reason: 'cancelled' })
    await expect.poll(() => registry.requests[0]?.aborted).toBe(true)
    resolve()
  })
})
