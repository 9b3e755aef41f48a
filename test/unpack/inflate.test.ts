import { randomBytes } from 'node:crypto'
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { createInflater } from '../../src/unpack/inflate/create.ts'
import type { DeflateEngine } from '../../src/unpack/inflate/engine.ts'
import { Input } from '../../src/unpack/inflate/input.ts'
import { IsalEngine, isalLibrary } from '../../src/unpack/inflate/isal.ts'
import { ZlibEngine } from '../../src/unpack/inflate/zlib.ts'

const noise = randomBytes(300_000)
/** Runs of all kinds: incompressible, repeated, and long enough to fill the output block many times. */
const content = Buffer.concat([noise, Buffer.alloc(900_000, 'windlass'), noise.subarray(0, 70_001), Buffer.alloc(3)])
const skippable = Buffer.from('502a4d18040000000a0b0c0d', 'hex')

function inflate(stream: Uint8Array, step: number): Buffer {
  let at = 0
  const input = new Input(() => {
    const chunk = stream.subarray(at, at + step)
    at += step
    return chunk.length === 0 ? undefined : chunk
  })
  using inflater = createInflater(input)
  const blocks: Buffer[] = []
  for (let block = inflater.next(); block !== undefined; block = inflater.next()) blocks.push(Buffer.from(block))
  return Buffer.concat(blocks)
}

describe.each([1, 7, 4_096, 262_144, 10_000_000])('in chunks of %i bytes', (step) => {
  // A byte at a time is slow, and its edge cases show in the first thousands.
  const text = step === 1 ? content.subarray(290_000, 320_000) : content

  it.each([
    ['gzip', gzipSync(text), text],
    [
      'two gzip members and a tail of NULs',
      Buffer.concat([gzipSync(text), gzipSync(text), Buffer.alloc(999)]),
      Buffer.concat([text, text]),
    ],
    ['gzip with a name and extra fields', withHeaderFields(gzipSync(text)), text],
    ['gzip of nothing', gzipSync(Buffer.alloc(0)), Buffer.alloc(0)],
    ['zstd', zstdCompressSync(text), text],
    [
      'zstd frames with a skippable one in between',
      Buffer.concat([zstdCompressSync(text), skippable, zstdCompressSync(text)]),
      Buffer.concat([text, text]),
    ],
    ['a skippable frame first', Buffer.concat([skippable, zstdCompressSync(text)]), text],
    ['plain bytes', Buffer.from(text), text],
  ])('reads %s', (_name, stream, want) => {
    expect(inflate(stream, step).equals(want)).toBe(true)
  })
})

it('what is put back is not copied where it came from what is at hand, and joined with it where it did not', () => {
  const chunks = [Buffer.from('0123'), Buffer.from('456789')]
  const input = new Input(() => chunks.shift())
  const first = input.bytes()
  input.skip(3)
  input.unread(first.subarray(1, 3))
  expect(input.bytes().buffer).toBe(first.buffer)
  expect(Buffer.from(input.bytes()).toString()).toBe('123')
  input.skip(3)
  expect(input.byte()).toBe('4'.charCodeAt(0))
  input.unread(Buffer.from('34'))
  expect(Buffer.from(input.bytes()).toString()).toBe('3456789')
  expect(Buffer.from(input.peek(2)).toString()).toBe('34')
})

describe('refuses', () => {
  const gzip = gzipSync(content)
  const badCrc = Buffer.from(gzip)
  badCrc.writeUInt8(badCrc.readUInt8(badCrc.length - 8) ^ 1, badCrc.length - 8)

  it.each([
    ['gzip cut in its data', gzip.subarray(0, gzip.length - 5_000), /ends too early/],
    ['gzip cut in its trailer', gzip.subarray(0, gzip.length - 3), /ends too early/],
    ['junk behind gzip', Buffer.concat([gzip, Buffer.from('junk')]), /garbage/],
    ['a member behind NULs', Buffer.concat([gzip, Buffer.alloc(8), gzip]), /garbage/],
    ['a wrong checksum', badCrc, /checksum/],
    ['zstd cut short', zstdCompressSync(content).subarray(0, -9), /ends too early/],
    ['junk behind zstd', Buffer.concat([zstdCompressSync(content), Buffer.from('junk')]), /zstd/],
    ['a zstd window of 2 GiB', Buffer.from('28b52ffd0488' + '00'.repeat(20), 'hex'), /zstd/],
  ])('%s', (_name, stream, message) => {
    expect(() => inflate(stream, 65_536)).toThrow(message)
  })
})

describe('both deflate engines', () => {
  const library = isalLibrary()
  const engines: [string, () => DeflateEngine][] = [['zlib', () => new ZlibEngine()]]
  if (library === undefined) console.warn('libisal.so.2 is not installed: its engine is not compared here')
  else engines.push(['libisal', () => new IsalEngine(library)])

  it.each(engines)('%s gives the bytes, their checksum, and back what lies behind', (_name, create) => {
    using engine = create()
    engine.reset()
    let rest: Uint8Array = Buffer.concat([deflateRawSync(content), Buffer.from('behind')])
    const blocks: Buffer[] = []
    const memory = new Uint8Array(new ArrayBuffer(4_096))
    for (;;) {
      const step = engine.inflate(rest, memory)
      blocks.push(Buffer.from(step.out))
      rest = Buffer.concat([step.unread, rest.subarray(step.consumed)])
      if (step.done) break
    }
    expect(Buffer.concat(blocks).equals(content)).toBe(true)
    expect(engine.size).toBe(content.length)
    expect(Buffer.from(rest).toString()).toBe('behind')
  })
})

/** FEXTRA, FNAME, FCOMMENT and FHCRC in front of the same deflate stream (RFC 1952 §2.3.1). */
function withHeaderFields(gzip: Buffer): Buffer {
  const header = Buffer.from([0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 3, 4, 0, 1, 2, 3, 4, 0x61, 0, 0x62, 0, 0xff, 0xff])
  return Buffer.concat([header, gzip.subarray(10)])
}
