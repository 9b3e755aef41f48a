import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { parseDigest } from '../../src/oci/digest.ts'
import type { ByteSink } from '../../src/task/task.ts'
import { failureFrom, Keeper, layerOf, newClient, pattern, signal } from './client-under-test.ts'
import { type Fault, type LoggedRequest, startRegistry } from './embedded-registry.ts'

const blobs =
  (fault: (request: LoggedRequest, round: number) => Fault | undefined, round = 0) =>
  (request: LoggedRequest): Fault | undefined =>
    request.path.includes('/blobs/') ? fault(request, round++) : undefined

describe('fetch', () => {
  it('brings every byte once and in order, and says how it went', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const bytes = pattern(3_000_000)
    const digest = registry.putBlob(bytes)
    const sink = new Keeper()
    const transfer = await client.open(registry.host).fetch(layerOf(digest, bytes), sink, { signal: signal() })
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(transfer).toMatchObject({ host: registry.host, bytes: bytes.length, attempts: 1 })
    expect(transfer.firstByteMs).toBeGreaterThan(0)
    expect(registry.blobGets(digest)).toBe(1)
    expect(registry.requests.at(-1)?.headers['accept-encoding']).toBe('identity')
  })

  it('reads no further while the sink is full, and does not count that as standing still', async () => {
    await using registry = await startRegistry()
    await using client = newClient({ progressTimeoutMs: 200 })
    const bytes = pattern(60_000_000)
    const digest = registry.putBlob(bytes)
    const keeper = new Keeper()
    let waiting = false
    const sink: ByteSink = {
      write(chunk) {
        expect(waiting).toBe(false)
        const first = keeper.chunks.length === 0
        void keeper.write(chunk)
        if (!first) return undefined
        waiting = true
        // Longer than the progress timeout, and long enough to send sixty megabytes to someone who reads.
        return delay(500).then(() => {
          expect(registry.requests.at(-1)?.sent).toBe(false)
          waiting = false
        })
      },
    }
    const transfer = await client.open(registry.host).fetch(layerOf(digest, bytes), sink, { signal: signal() })
    expect(keeper.bytes.equals(bytes)).toBe(true)
    expect(transfer.attempts).toBe(1)
    expect(registry.requests.at(-1)?.sent).toBe(true)
  })

  it('that may have to stand still asks for pieces, each byte once, and for the rest when it need not any more', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const bytes = pattern(30_000_000)
    const digest = registry.putBlob(bytes)
    const sink = new Keeper()
    let pieces = 0
    const transfer = await client
      .open(registry.host)
      .fetch(layerOf(digest, bytes), sink, { signal: signal(), isPatient: () => ++pieces < 4 })
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(transfer).toMatchObject({ bytes: bytes.length, attempts: 1 })
    const spans = registry.requests.flatMap(({ range }) => /^bytes=(\d+)-(\d*)$/.exec(range ?? '')?.slice(1) ?? [])
    const [first, ends] = [spans.filter((_, at) => at % 2 === 0), spans.filter((_, at) => at % 2 === 1)]
    expect(ends.map((end) => end === '')).toEqual([false, false, false, true])
    expect(first).toEqual(['0', ...ends.slice(0, -1).map((end) => String(Number(end) + 1))])
    for (const at of [0, 1, 2]) expect(Number(ends[at]) - Number(first[at])).toBeLessThan(4 * 1024 * 1024)
  })

  it('in pieces is one answer from a host that knows no ranges', async () => {
    await using registry = await startRegistry({ fault: blobs(() => ({ kind: 'ignore-range' })) })
    await using client = newClient()
    const bytes = pattern(5_000_000)
    const digest = registry.putBlob(bytes)
    const sink = new Keeper()
    await client.open(registry.host).fetch(layerOf(digest, bytes), sink, { signal: signal(), isPatient: () => true })
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(registry.blobGets(digest)).toBe(1)
  })

  it('goes on with Range where a connection was cut, again and again', async () => {
    await using registry = await startRegistry({ fault: blobs(() => ({ kind: 'cut', afterBytes: 300_000 })) })
    await using client = newClient()
    const bytes = pattern(3_000_001)
    const digest = registry.putBlob(bytes)
    const sink = new Keeper()
    const transfer = await client.open(registry.host).fetch(layerOf(digest, bytes), sink, { signal: signal() })
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(transfer.attempts).toBe(11)
    expect(registry.requests[1]?.range).toBe('bytes=300000-')
    const answered = registry.requests.filter(({ range }) => range !== undefined)
    expect(new Set(answered.map(({ status }) => status))).toEqual(new Set([206]))
  })

  it('passes over what it has where a registry ignores Range', async () => {
    await using registry = await startRegistry({
      fault: blobs((_, round) => (round === 0 ? { kind: 'cut', afterBytes: 500_000 } : { kind: 'ignore-range' })),
    })
    await using client = newClient()
    const bytes = pattern(1_000_000)
    const sink = new Keeper()
    await client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
    expect(sink.bytes.equals(bytes)).toBe(true)
  })

  it.each(['bytes 0-999999/1000000', 'bytes 500000-999998/1000000', 'bytes 500000-999999/1000001', 'bytes=500000-', ''])(
    'does not believe a 206 with Content-Range "%s", and asks for the whole instead',
    async (range) => {
      await using registry = await startRegistry({
        fault: blobs((request, round) => {
          if (round === 0) return { kind: 'cut', afterBytes: 500_000 }
          return request.range === undefined ? undefined : { kind: 'headers', headers: { 'content-range': range } }
        }),
      })
      await using client = newClient()
      const bytes = pattern(1_000_000)
      const sink = new Keeper()
      const transfer = await client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
      expect(sink.bytes.equals(bytes)).toBe(true)
      expect(transfer.attempts).toBe(3)
    },
  )

  it('gives up after five tries that bring nothing more', async () => {
    await using registry = await startRegistry({
      fault: blobs((_, round) => ({ kind: 'cut', afterBytes: round === 0 ? 500_000 : 0 })),
    })
    await using client = newClient()
    const bytes = pattern(1_000_000)
    const sink = new Keeper()
    const failure = await failureFrom(
      client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() }),
      'registry-unavailable',
    )
    expect(failure.tried).toEqual([{ host: registry.host, result: 'connection closed' }])
    expect(sink.bytes.length).toBe(500_000)
    expect(registry.requests).toHaveLength(6)
  })

  it('cuts a transfer that stands still, and resumes it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using registry = await startRegistry({
      fault: blobs((_, round) => (round === 0 ? { kind: 'stall', afterBytes: 400_000, until: promise } : undefined)),
    })
    await using client = newClient({ progressTimeoutMs: 200 })
    const bytes = pattern(1_000_000)
    const sink = new Keeper()
    const transfer = await client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(transfer.attempts).toBe(2)
    resolve()
  })

  it('stops at the first byte too many', async () => {
    const endless = pattern(8_000_000)
    await using registry = await startRegistry({ fault: blobs(() => ({ kind: 'bytes', bytes: endless, chunked: true })) })
    await using client = newClient()
    const bytes = pattern(100_000)
    const sink = new Keeper()
    const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
    expect(await failureFrom(work, 'size-mismatch')).toMatchObject({ want: 100_000, from: registry.host })
    expect(sink.bytes.length).toBeLessThanOrEqual(100_000)
    await expect.poll(() => registry.requests.at(-1)?.aborted).toBe(true)
  })

  it.each([false, true])('says when a blob is shorter than its descriptor (chunked: %s)', async (chunked) => {
    await using registry = await startRegistry({ fault: blobs(() => ({ kind: 'bytes', bytes: pattern(90_000), chunked })) })
    await using client = newClient()
    const bytes = pattern(100_000)
    const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), new Keeper(), { signal: signal() })
    expect(await failureFrom(work, 'size-mismatch')).toMatchObject({ want: 100_000, got: 90_000 })
  })

  it('refuses an encoded body', async () => {
    await using registry = await startRegistry({
      fault: blobs(() => ({ kind: 'headers', headers: { 'content-encoding': 'zstd' } })),
    })
    await using client = newClient()
    const bytes = pattern(1_000)
    const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), new Keeper(), { signal: signal() })
    expect((await failureFrom(work, 'malformed')).reason).toContain('zstd')
  })

  it.each(['thrown', 'rejected'])('ends at once with what the sink has %s', async (how) => {
    await using registry = await startRegistry()
    await using client = newClient()
    const bytes = pattern(30_000_000)
    const digest = registry.putBlob(bytes)
    const mine = new Error('the sink is done for')
    const sink: ByteSink = {
      write() {
        if (how === 'thrown') throw mine
        return Promise.reject(mine)
      },
    }
    const caught = await client
      .open(registry.host)
      .fetch(layerOf(digest, bytes), sink, { signal: signal() })
      .catch((error: unknown) => error)
    expect(caught).toBe(mine)
    await expect.poll(() => registry.requests.at(-1)?.aborted).toBe(true)
    expect(registry.blobGets(digest)).toBe(1)
  })

  it('ends promptly when its caller leaves, even while the sink is full', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const bytes = pattern(30_000_000)
    const leaving = new AbortController()
    const { promise: full, resolve: isFull } = Promise.withResolvers<void>()
    const sink: ByteSink = {
      write() {
        isFull()
        return new Promise(() => undefined)
      },
    }
    const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: leaving.signal })
    await full
    leaving.abort()
    await failureFrom(work, 'cancelled')
    await expect.poll(() => registry.requests.at(-1)?.aborted).toBe(true)
  })

  it('ends with the registry client', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using registry = await startRegistry({ fault: blobs(() => ({ kind: 'stall', afterBytes: 100_000, until: promise })) })
    const client = newClient()
    const bytes = pattern(1_000_000)
    const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), new Keeper(), { signal: signal() })
    const failing = failureFrom(work, 'cancelled')
    await expect.poll(() => registry.requests.length).toBe(1)
    await client[Symbol.asyncDispose]()
    expect(await failing).toMatchObject({ reason: 'shutdown' })
    resolve()
  })

  it('names the digest of a blob that is not there', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const digest = parseDigest(`sha256:${'a'.repeat(64)}`)
    const work = client.open(registry.host).fetch(layerOf(digest, pattern(4)), new Keeper(), { signal: signal() })
    const tried = [{ host: registry.host, result: '404 BLOB_UNKNOWN: blobs unknown to registry', answered: true }]
    expect(await failureFrom(work, 'blob-unknown')).toMatchObject({ digest, tried })
  })

  it('keeps many transfers going at once', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const repository = client.open(registry.host)
    const all = Array.from({ length: 30 }, (_, index) => pattern(200_000 + index))
    await Promise.all(
      all.map(async (bytes) => {
        const sink = new Keeper()
        await repository.fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
        expect(sink.bytes.equals(bytes)).toBe(true)
      }),
    )
  })
})

describe('a redirect', () => {
  it('is asked for anew at the registry on each try: its address may be good once only', async () => {
    await using storage = await startRegistry({
      fault: blobs((_, round) => (round === 0 ? { kind: 'cut', afterBytes: 300_000 } : undefined)),
    })
    const bytes = pattern(1_000_000)
    const digest = storage.putBlob(bytes)
    let signature = 0
    await using registry = await startRegistry({
      fault: blobs(() => ({ kind: 'redirect', location: `${storage.origin}/v2/x/blobs/${digest}?signature=${++signature}` })),
    })
    await using client = newClient()
    const sink = new Keeper()
    await client.open(registry.host).fetch(layerOf(digest, bytes), sink, { signal: signal() })
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(storage.requests.map(({ query, range }) => [query.get('signature'), range])).toEqual([
      ['1', undefined],
      ['2', 'bytes=300000-'],
    ])
  })

  it.each([
    ['file:///etc/passwd', 'file: is not http or https'],
    ['http://169.254.169.254/latest', '169.254.169.254 is a link-local address'],
    ['http://[', 'a redirect to what is not a URL'],
  ])('to %s is not followed', async (location, reason) => {
    await using registry = await startRegistry({ fault: blobs(() => ({ kind: 'redirect', location })) })
    await using client = newClient()
    const bytes = pattern(10)
    const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), new Keeper(), { signal: signal() })
    expect((await failureFrom(work, 'malformed')).reason).toContain(reason)
  })

  it('that leads in a circle ends after five', async () => {
    await using registry = await startRegistry({ fault: blobs(({ path }) => ({ kind: 'redirect', location: path })) })
    await using client = newClient()
    const bytes = pattern(10)
    const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), new Keeper(), { signal: signal() })
    expect((await failureFrom(work, 'malformed')).reason).toContain('more than 5 redirects')
    expect(registry.requests).toHaveLength(6)
  })

  it('whose target says no shows neither query nor signature', async () => {
    await using storage = await startRegistry({
      fault: () => ({ kind: 'status', status: 403, body: 'see https://s3.example/a?canary=1' }),
    })
    await using registry = await startRegistry({
      fault: blobs(() => ({ kind: 'redirect', location: `${storage.origin}/x?canary=2` })),
    })
    await using client = newClient()
    const bytes = pattern(10)
    const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), new Keeper(), { signal: signal() })
    expect(JSON.stringify([await failureFrom(work, 'registry-unavailable'), client.events])).not.toContain('canary')
  })
})
