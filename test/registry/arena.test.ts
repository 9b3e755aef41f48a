/** Bodies are read into one buffer, whose bytes are the next read's as soon as they were taken. */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { ByteSink } from '../../src/task/task.ts'
import { hasOpenssl, makeCertificates } from './certificates.ts'
import { layerOf, newClient, pattern, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'

const bytes = pattern(8_000_000)

/** Keeps copies; every so often it is full, until others have had their turn. */
class Chunky implements ByteSink {
  readonly #copies: Buffer[] = []
  readonly buffers = new Set<ArrayBufferLike>()
  readonly #fullEvery: number
  #count = 0

  constructor(fullEvery: number) {
    this.#fullEvery = fullEvery
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#copies.push(Buffer.from(chunk))
    this.buffers.add(chunk.buffer)
    return ++this.#count % this.#fullEvery === 0 ? setImmediate() : undefined
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#copies)
  }
}

describe.each([['plain'], ['TLS']] as const)('a body over %s', (how) => {
  const tls = how === 'TLS'

  it.skipIf(tls && !hasOpenssl)('comes in one buffer for all reads while its sink keeps up', async () => {
    await using registry = await startRegistry(tls ? { tls: makeCertificates().server } : {})
    await using client = newClient()
    const digest = registry.putBlob(bytes)
    const sink = new Chunky(Number.POSITIVE_INFINITY)
    await client.open(registry.host).fetch(layerOf(digest, bytes), sink, { signal: signal() })
    expect(sink.bytes.equals(bytes)).toBe(true)
    expect(sink.buffers.size).toBe(1)
  })

  it.skipIf(tls && !hasOpenssl)('is whole where sinks are full again and again, several at a time', async () => {
    await using registry = await startRegistry(tls ? { tls: makeCertificates().server } : {})
    await using client = newClient()
    const digest = registry.putBlob(bytes)
    const sinks = [1, 2, 3, 5].map((every) => new Chunky(every))
    const remote = client.open(registry.host)
    await Promise.all(sinks.map((sink) => remote.fetch(layerOf(digest, bytes), sink, { signal: signal() })))
    for (const sink of sinks) expect(sink.bytes.equals(bytes)).toBe(true)
  })
})
