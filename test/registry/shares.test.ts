import { describe, expect, it } from 'vitest'
import type { RegistryEvent } from '../../src/registry/events.ts'
import { SEGMENT, type TransferLimits } from '../../src/registry/throttle.ts'
import { openLink } from '../network/link.ts'
import { failureFrom, Keeper, layerOf, newClient, pattern, signal } from './client-under-test.ts'
import { type Fault, type LoggedRequest, startRegistry, type TestRegistry } from './embedded-registry.ts'

const MB = 1_000_000
const limits: TransferLimits = { maxConnections: 64, maxConnectionsPerHost: 64, maxConnectionsPerLayer: 4 }
const bytes = pattern(40 * MB)
/** Slow enough to be noticed, fast enough for a test: alone it takes 8 s. */
const each = { blobBytesPerSecond: 5 * MB }

const ranges = (registry: TestRegistry) => registry.requests.flatMap(({ range }) => (range === undefined ? [] : [range]))
const closed = (range: string) => /^bytes=\d+-\d+$/.test(range)

async function fetchFrom(registry: TestRegistry, transfers: TransferLimits = limits, log?: (event: RegistryEvent) => void) {
  let mostAtOnce = 0
  const { fault } = registry
  registry.fault = (request) => {
    mostAtOnce = Math.max(mostAtOnce, registry.requests.filter(({ sent, aborted }) => !sent && !aborted).length)
    return fault?.(request)
  }
  await using client = newClient({ transfers, ...(log === undefined ? {} : { log }) })
  const sink = new Keeper()
  const started = performance.now()
  await client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
  return { seconds: (performance.now() - started) / 1000, isRight: sink.bytes.equals(bytes), mostAtOnce }
}

const inRanges =
  (fault: (request: LoggedRequest, round: number) => Fault | undefined, round = 0) =>
  (request: LoggedRequest): Fault | undefined =>
    request.range === undefined ? undefined : fault(request, round++)

// Most of their time is the limit's: they wait at once.
describe.concurrent('a large layer from a registry that limits each connection', () => {
  it.sequential('comes over several, each byte once and in order, and sooner', async () => {
    await using registry = await startRegistry(each)
    const { seconds, isRight } = await fetchFrom(registry)
    expect(isRight).toBe(true)
    expect(seconds).toBeLessThan(6.5)
    const asked = ranges(registry)
    expect(asked.every(closed)).toBe(true)
    expect(new Set(asked).size).toBe(asked.length)
    const longest = Math.max(...asked.map((range) => rangeLength(range)))
    expect(longest).toBe(SEGMENT)
  })

  it('takes as many connections as it may have at once', async ({ expect }) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using registry = await startRegistry({ ...each, fault: inRanges(() => ({ kind: 'hold', until: promise })) })
    const fetching = fetchFrom(registry)
    // None of the four has brought a byte.
    await expect.poll(() => ranges(registry), { timeout: 5_000 }).toHaveLength(limits.maxConnectionsPerLayer)
    resolve()
    expect((await fetching).isRight).toBe(true)
  })

  it('comes over one where only one is allowed, for the layer or to the host', async () => {
    const oneOf = async (some: Partial<TransferLimits>) => {
      await using registry = await startRegistry({ blobBytesPerSecond: 10 * MB })
      const { isRight, mostAtOnce } = await fetchFrom(registry, { ...limits, ...some })
      return [isRight, mostAtOnce]
    }
    expect(await Promise.all([oneOf({ maxConnectionsPerLayer: 1 }), oneOf({ maxConnectionsPerHost: 1 })])).toEqual([
      [true, 1],
      [true, 1],
    ])
  })

  it('goes on where connections are cut', async () => {
    await using registry = await startRegistry({
      ...each,
      fault: inRanges((_, round) => (round % 3 === 1 ? { kind: 'cut', afterBytes: 1.5 * MB } : undefined)),
    })
    const { isRight } = await fetchFrom(registry)
    expect(isRight).toBe(true)
    expect(ranges(registry).filter((range) => !closed(range))).toEqual([])
  })

  it('asks for nothing while the registry wants a pause, over none of them', async () => {
    await using registry = await startRegistry({
      ...each,
      fault: inRanges((_, round) => (round === 5 ? { kind: 'status', status: 503, headers: { 'retry-after': '2' } } : undefined)),
    })
    // By the client's own account: what was on its way when it heard of the pause is not meant.
    const asked: number[] = []
    let pausedAt = 0
    const { isRight } = await fetchFrom(registry, limits, (event) => {
      if (event.type !== 'answer') return
      if (event.code === '503') pausedAt = performance.now()
      asked.push(performance.now() - event.ms)
    })
    expect(isRight).toBe(true)
    expect(pausedAt).toBeGreaterThan(0)
    expect(asked.filter((at) => at > pausedAt && at < pausedAt + 1_900)).toEqual([])
    expect(asked.some((at) => at > pausedAt + 1_900)).toBe(true)
  })

  it.each<[string, Fault]>([
    ['ignores them', { kind: 'ignore-range' }],
    ['answers others', { kind: 'headers', headers: { 'content-range': 'bytes 0-99/40000000' } }],
    ['answers of another size', { kind: 'headers', headers: { 'content-range': 'bytes 5-99/40000001' } }],
    ['names none', { kind: 'headers', headers: { 'content-range': '' } }],
  ])('comes over one from a registry that takes ranges and %s', async (_, fault) => {
    await using registry = await startRegistry({ blobBytesPerSecond: 10 * MB, fault: inRanges(() => fault) })
    expect((await fetchFrom(registry)).isRight).toBe(true)
  })

  it('is given up where each range brings a byte and no more', async () => {
    await using registry = await startRegistry({
      ...each,
      fault: (request) =>
        request.range !== undefined
          ? { kind: 'cut', afterBytes: 1 }
          : request.path.includes('/blobs/')
            ? { kind: 'cut', afterBytes: 15 * MB }
            : undefined,
    })
    await using client = newClient({ transfers: limits })
    const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), new Keeper(), { signal: signal() })
    await failureFrom(work, 'registry-unavailable')
    expect(ranges(registry).length).toBeLessThan(20)
  })

  it('is not put together from what has another ETag', async () => {
    let round = 0
    await using registry = await startRegistry({
      blobBytesPerSecond: 10 * MB,
      fault: (request) =>
        request.path.includes('/blobs/') ? { kind: 'headers', headers: { etag: round++ === 0 ? '"one"' : '"two"' } } : undefined,
    })
    const { isRight } = await fetchFrom(registry)
    expect(isRight).toBe(true)
    // The range was refused, and the whole asked for.
    expect(registry.requests.filter(({ range }) => range === undefined)).toHaveLength(2)
  })

  it('ends with its sink', async ({ expect }) => {
    await using registry = await startRegistry(each)
    await using client = newClient({ transfers: limits })
    let taken = 0
    const sink = {
      write(chunk: Uint8Array) {
        taken += chunk.length
        if (ranges(registry).length > 1) throw new Error('full')
        return undefined
      },
    }
    await failureFrom(
      client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() }),
      'internal',
    )
    await expect.poll(() => registry.requests.every(({ aborted, sent }) => aborted || sent)).toBe(true)
    expect(taken).toBeLessThan(bytes.length)
  })
})

describe('a layer from a link that is slow itself', () => {
  it('does not take more connections than one, and neither does the next', async () => {
    await using registry = await startRegistry()
    await using link = await openLink({ to: registry.host, bytesPerSecond: 10 * MB })
    await using client = newClient({ transfers: limits })
    const fetchOne = async () => {
      const sink = new Keeper()
      await client.open(link.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
      expect(sink.bytes.equals(bytes)).toBe(true)
    }
    await fetchOne()
    const asked = registry.requests.length
    await fetchOne()
    expect(registry.requests).toHaveLength(asked + 1)
  })
})

describe('limits', () => {
  it('hold for all layers together: bytes a second', async () => {
    await using registry = await startRegistry()
    await using client = newClient({ transfers: { ...limits, maxBytesPerSecond: 20 * MB } })
    const started = performance.now()
    await Promise.all(
      [10, 11, 12, 13].map(async (size) => {
        const blob = pattern(size * MB)
        const sink = new Keeper()
        await client.open(registry.host).fetch(layerOf(registry.putBlob(blob), blob), sink, { signal: signal() })
        expect(sink.bytes.equals(blob)).toBe(true)
      }),
    )
    const seconds = (performance.now() - started) / 1000
    expect(seconds).toBeGreaterThan(2.1)
    // Nobody took more connections for what was our own doing.
    expect(ranges(registry)).toEqual([])
  })

  it.each<[string, Partial<TransferLimits>]>([
    ['to one host', { maxConnectionsPerHost: 2 }],
    ['of this node', { maxConnections: 2 }],
  ])('hold for connections %s, and documents pass by', async (_, some) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using registry = await startRegistry({
      fault: ({ path }) => (path.includes('/blobs/') ? { kind: 'hold', until: promise } : undefined),
    })
    await using client = newClient({ transfers: { ...limits, ...some } })
    const fetches = Array.from({ length: 6 }, (_, at) => {
      const blob = pattern(1000 + at)
      return client.open(registry.host).fetch(layerOf(registry.putBlob(blob), blob), new Keeper(), { signal: signal() })
    })
    const held = () => registry.requests.filter(({ path }) => path.includes('/blobs/'))
    await expect.poll(held).toHaveLength(2)
    await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'manifest-unknown')
    expect(held()).toHaveLength(2)
    resolve()
    await Promise.all(fetches)
  })
})

function rangeLength(range: string): number {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? []
  return Number(last) - Number(first) + 1
}
