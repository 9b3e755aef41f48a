/** The hostile registry, rows R16 to R29: what it does to the bytes of a layer. Rows that are tested elsewhere are in rows.test.ts. */
import { createHash } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOfHex } from '../../../src/oci/digest.ts'
import type { ByteSink } from '../../../src/task/task.ts'
import { failureFrom, Keeper, layerOf, newClient, pattern, signal } from '../client-under-test.ts'
import { type Fault, type LoggedRequest, startRegistry } from '../embedded-registry.ts'

const MB = 1_000_000
const MIB = 2 ** 20
const bytes = pattern(2 * MB)

/** What goes wrong with the nth answer for a blob. */
const rounds =
  (...faults: readonly (Fault | undefined)[]) =>
  ({ path }: LoggedRequest): Fault | undefined =>
    path.includes('/blobs/') ? faults[round++] : undefined
let round = 0

async function fetchFrom(fault: (request: LoggedRequest) => Fault | undefined, options: { progressTimeoutMs?: number } = {}) {
  round = 0
  const registry = await startRegistry({ fault })
  const client = newClient(options)
  const sink = new Keeper()
  const work = client.open(registry.host).fetch(layerOf(registry.putBlob(bytes), bytes), sink, { signal: signal() })
  return {
    registry,
    work,
    sink,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await registry[Symbol.asyncDispose]()
    },
  }
}

/** A head, then what `body` writes. */
const raw = (head: readonly string[], body: (write: (chunk: Uint8Array | string) => void) => void): Fault => ({
  kind: 'raw',
  answer: (socket) => {
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    body((chunk) => socket.destroyed || socket.write(chunk))
  },
})

const cut: Fault = { kind: 'cut', afterBytes: MB }
const other = Buffer.from(bytes).fill(7, 100, 200)

describe('the hostile registry', () => {
  it('R17 answers a Range with 200 and another blob: refused, and none of it handed on', async () => {
    const whole = raw(['HTTP/1.1 200 OK', `content-length: ${other.length}`], (write) => write(other))
    await using asked = await fetchFrom(rounds(cut, whole, whole))
    const failure = await failureFrom(asked.work, 'malformed')
    expect(failure.reason).toContain('not what came before')
    expect(asked.sink.bytes.equals(bytes.subarray(0, MB))).toBe(true)
  })

  it.each<[string, Record<string, string>]>([
    ['two Content-Ranges', { 'content-range': `bytes ${MB}-${2 * MB - 1}/${2 * MB}, bytes 0-1/2` }],
    ['the Content-Length of another range', { 'content-length': String(MB - 1) }],
  ])('R18 answers 206 with %s: the whole is asked for instead', async (_, headers) => {
    await using asked = await fetchFrom(rounds(cut, { kind: 'headers', headers }))
    await asked.work
    expect(asked.sink.bytes.equals(bytes)).toBe(true)
    expect(asked.registry.requests.map(({ range }) => range)).toEqual([undefined, `bytes=${MB}-`, undefined])
  })

  it('R19 answers a resume with 416: the whole is asked for instead, once', async () => {
    await using asked = await fetchFrom(rounds(cut, { kind: 'status', status: 416 }))
    await asked.work
    expect(asked.sink.bytes.equals(bytes)).toBe(true)
    expect(asked.registry.requests.map(({ range }) => range)).toEqual([undefined, `bytes=${MB}-`, undefined])
  })

  it('R19 changes the ETag between two answers: the range is refused, and the whole asked for', async () => {
    const half: Fault = {
      kind: 'raw',
      answer: (socket) => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\netag: "one"\r\n\r\n`)
        socket.end(bytes.subarray(0, MB))
      },
    }
    await using asked = await fetchFrom(rounds(half, { kind: 'headers', headers: { etag: '"two"' } }))
    await asked.work
    expect(asked.sink.bytes.equals(bytes)).toBe(true)
    expect(asked.registry.requests.map(({ range }) => range)).toEqual([undefined, `bytes=${MB}-`, undefined])
  })

  it('R21 resets the connection after each MiB of a GiB: every byte comes, once', { timeout: 180_000 }, async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-resets-'))
    const file = join(dir.path, 'blob')
    // A file of its own: no test need hold a GiB.
    const mib = pattern(MIB)
    for (let at = 0; at < 1024; at++) {
      mib.writeUInt32LE(at)
      appendFileSync(file, mib)
    }
    await using registry = await startRegistry({ fault: () => ({ kind: 'reset', afterBytes: MIB }) })
    await using client = newClient()
    const blob = { mediaType: 'application/octet-stream', ...(await registry.putBlobFile(file)) }
    const [hash, came] = [createHash('sha256'), { bytes: 0 }]
    const sink: ByteSink = {
      write(chunk) {
        hash.update(chunk)
        came.bytes += chunk.length
        return undefined
      },
    }
    const transfer = await client.open(registry.host).fetch(blob, sink, { signal: AbortSignal.timeout(150_000) })
    expect([came.bytes, digestOfHex(hash.digest('hex'))]).toEqual([1024 * MIB, blob.digest])
    expect(transfer.attempts).toBeGreaterThanOrEqual(1_000)
    // Each asks for the byte after the last that came.
    const starts = registry.requests.map(({ range }) => Number(/\d+/.exec(range ?? '0')?.[0]))
    expect(starts).toEqual(starts.toSorted((a, b) => a - b))
  })

  it('R24 sends the head of its answer byte by byte: given up after the timeout, and not the only try', async () => {
    const slow: Fault = {
      kind: 'raw',
      answer: (socket) => {
        const head = 'HTTP/1.1 200 OK\r\nx-filler: '
        let at = 0
        const timer = setInterval(() => socket.write(head[at++] ?? 'x'), 50)
        socket.once('close', () => clearInterval(timer)).on('error', () => {})
      },
    }
    await using asked = await fetchFrom(rounds(slow), { progressTimeoutMs: 1_000 })
    await asked.work
    expect(asked.sink.bytes.equals(bytes)).toBe(true)
    expect(asked.registry.requests).toHaveLength(2)
  })

  it('R24 says over and over that it is at work: given up after the timeout, and not the only try', async () => {
    const busy: Fault = {
      kind: 'raw',
      answer: (socket) => {
        const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50)
        socket.once('close', () => clearInterval(timer)).on('error', () => {})
      },
    }
    await using asked = await fetchFrom(rounds(busy), { progressTimeoutMs: 1_000 })
    await asked.work
    expect(asked.sink.bytes.equals(bytes)).toBe(true)
    expect(asked.registry.requests).toHaveLength(2)
  })

  it('R24 hands out a body byte by byte: left, and resumed where it was', async () => {
    const trickle = raw(['HTTP/1.1 200 OK', `content-length: ${bytes.length}`], (write) => {
      let at = 0
      const timer = setInterval(() => write(bytes.subarray(at, ++at)), 20).unref()
      setTimeout(() => clearInterval(timer), 10_000).unref()
    })
    await using asked = await fetchFrom(rounds(trickle), { progressTimeoutMs: 1_000 })
    await asked.work
    expect(asked.sink.bytes.equals(bytes)).toBe(true)
    expect(asked.registry.requests[1]?.range).toMatch(/^bytes=\d\d-$/)
  })

  it('R25 is not blamed for a sink that is busy: no timeout runs meanwhile', async () => {
    await using registry = await startRegistry()
    await using client = newClient({ progressTimeoutMs: 1_000 })
    let held = false
    const sink: ByteSink = {
      write() {
        if (held) return undefined
        held = true
        return new Promise((resolve) => setTimeout(resolve, 2_500))
      },
    }
    const long = pattern(20 * MB)
    const transfer = await client.open(registry.host).fetch(layerOf(registry.putBlob(long), long), sink, { signal: signal() })
    expect(transfer.attempts).toBe(1)
  })

  it('R29 speaks HTTP/1.0 and ends with the connection', async () => {
    const answer: Fault = {
      kind: 'raw',
      answer: (socket) => {
        socket.write('HTTP/1.0 200 OK\r\n\r\n')
        socket.end(bytes)
      },
    }
    await using asked = await fetchFrom(rounds(answer))
    await asked.work
    expect(asked.sink.bytes.equals(bytes)).toBe(true)
    expect(asked.registry.requests).toHaveLength(1)
  })

  it('R29 sends chunks, and no length', async () => {
    await using asked = await fetchFrom(rounds({ kind: 'bytes', bytes, chunked: true }))
    await asked.work
    expect(asked.sink.bytes.equals(bytes)).toBe(true)
    expect(asked.registry.requests).toHaveLength(1)
  })

  it('R29 closes kept connections as the next request is on its way: asked again on a fresh one', async () => {
    await using registry = await startRegistry()
    await using client = newClient()
    const repository = client.open(registry.host)
    const seen = new Set<unknown>()
    const answer: Fault = {
      kind: 'raw',
      answer: (socket) => {
        // A second request on the same connection finds it closed.
        if (seen.has(socket)) return void socket.resetAndDestroy()
        seen.add(socket)
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`)
        socket.write(bytes)
        socket.once('data', () => socket.resetAndDestroy())
      },
    }
    registry.fault = () => answer
    const digest = registry.putBlob(bytes)
    for (let time = 0; time < 3; time++) {
      const sink = new Keeper()
      await repository.fetch(layerOf(digest, bytes), sink, { signal: signal() })
      expect(sink.bytes.equals(bytes)).toBe(true)
    }
  })
})
