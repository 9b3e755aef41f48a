/** The hostile registry, of which a GET gets every byte, slowly, and a Range nothing that is of use. */
import { describe, expect, it } from 'vitest'
import { newTrail } from '../../../src/registry/registry.ts'
import { SEGMENT } from '../../../src/registry/throttle.ts'
import { Keeper, layerOf, newClient, pattern, signal } from '../client-under-test.ts'
import { type Fault, type LoggedRequest, startRegistry, type TestRegistry } from '../embedded-registry.ts'

const MB = 1_000_000
/** Slow enough that several connections are tried. */
const each = { blobBytesPerSecond: 8 * MB }
const bytes = pattern(30 * MB)

const inRanges =
  (fault: (round: number) => Fault | undefined, round = 0) =>
  ({ range }: LoggedRequest): Fault | undefined =>
    range === undefined ? undefined : fault(round++)

const wholes = ({ requests }: TestRegistry) => requests.filter(({ range }) => range === undefined)

/** An answer to a range, with these lines besides those of a good one. */
const answering = (...lines: readonly string[]): Fault => ({
  kind: 'raw',
  answer: (socket) => {
    socket.on('error', () => {})
    const head = [
      'HTTP/1.1 206 Partial Content',
      `content-range: bytes 1-2/${bytes.length}`,
      `content-length: ${SEGMENT}`,
      ...lines,
    ]
    socket.end(`${head.join('\r\n')}\r\n\r\nno such bytes`)
  },
})

async function fetchFrom(registry: TestRegistry, client = newClient(), wanted = bytes) {
  const sink = new Keeper()
  await client.open(registry.host).fetch(layerOf(registry.putBlob(wanted), wanted), sink, { signal: signal() })
  expect(sink.bytes.equals(wanted)).toBe(true)
}

describe.concurrent('the hostile registry, asked for a layer over several connections,', () => {
  it.each<[string, Fault]>([
    ['resets them before they bring much', { kind: 'reset', afterBytes: 65_000 }],
    ['sends two lengths', answering('content-length: 5')],
    ['sends two ranges', answering('content-range: bytes 0-1/30000000')],
    ['sends more header than anybody reads', answering(`x-much: ${'a'.repeat(900_000)}`)],
    ['says nothing after its head', { kind: 'stall', afterBytes: 0, until: new Promise(() => {}) }],
    ['refuses each', { kind: 'status', status: 403 }],
    ['fails at each', { kind: 'status', status: 500 }],
    ['wants a pause for each', { kind: 'status', status: 429, headers: { 'retry-after': '1' } }],
  ])('R18 %s: the layer comes over the one that did well, and so does the next', async (_, fault) => {
    await using registry = await startRegistry({ ...each, fault: inRanges(() => fault) })
    await using client = newClient()
    await fetchFrom(registry, client)
    expect(wholes(registry)).toHaveLength(2)
    const asked = registry.requests.length
    await fetchFrom(registry, client)
    expect(registry.requests).toHaveLength(asked + 1)
  })

  it('R18 brings some and then none for a while: it goes on by ranges', async () => {
    const fault = inRanges((round) => (round >= 4 && round < 8 ? { kind: 'hang-up' } : undefined))
    await using registry = await startRegistry({ ...each, fault })
    await fetchFrom(registry)
    expect(wholes(registry)).toHaveLength(1)
  })
})

describe('the hostile registry, asked for the rest of a layer,', () => {
  const small = bytes.subarray(0, 2 * MB)

  it.each<[string, Fault]>([
    ['resets the connection', { kind: 'reset', afterBytes: 10_000 }],
    ['hangs up', { kind: 'hang-up' }],
    ['sends two lengths', answering('content-length: 5')],
  ])('R18 %s each time: the whole is asked for instead, and a range again where that ends too', async (_, fault) => {
    const ranged = inRanges((round) => (round < 3 ? fault : undefined))
    const cut: Fault = { kind: 'cut', afterBytes: MB }
    await using registry = await startRegistry({ fault: (request) => (request.range === undefined ? cut : ranged(request)) })
    await fetchFrom(registry, newClient(), small)
    const from = (range: string | undefined) => (range === undefined ? 'whole' : 'rest')
    const asked = ['whole', 'rest', 'rest', 'whole', 'rest', 'rest']
    expect(registry.requests.map(({ range }) => from(range))).toEqual(asked)
  })

  it('R23 is not there for a moment, and says so: it goes on where it was', async () => {
    const away: Fault = { kind: 'status', status: 502 }
    const ranged = inRanges((round) => (round < 3 ? away : undefined))
    const cut: Fault = { kind: 'cut', afterBytes: MB }
    await using registry = await startRegistry({ fault: (request) => (request.range === undefined ? cut : ranged(request)) })
    await fetchFrom(registry, newClient(), small)
    expect(wholes(registry)).toHaveLength(1)
  })

  it('R20 is asked in one answer where what came in several was wrong', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const trail = newTrail()
    const fetchIn = async (isPatient: () => boolean) => {
      const layer = layerOf(registry.putBlob(small), small)
      await client.open(registry.host).fetch(layer, new Keeper(), { signal: signal(), trail, isPatient })
    }
    await fetchIn(() => true)
    expect(trail.isPatched).toBe(true)
    expect(wholes(registry)).toHaveLength(0)
    await fetchIn(() => true)
    expect(wholes(registry)).toHaveLength(1)
  })
})
