import { randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createGzip } from '../../src/unpack/tar/gzip.ts'

afterEach(() => vi.unstubAllEnvs())

describe.each([
  ['by the library, where it is', ''],
  ['by zlib', '1'],
])('gzip %s', (_, withoutIsal) => {
  it('gives back what it was given, however large and however little of it compresses', () => {
    vi.stubEnv('WINDLASS_NO_ISAL', withoutIsal)
    const gzip = createGzip()
    const line = `{"type":2,"payload":"${Buffer.alloc(2048, 'header').toString('base64')}","position":1}\n`
    const samples = [
      Buffer.alloc(0),
      Buffer.from('a'),
      Buffer.from(line),
      Buffer.from(line.repeat(200)),
      randomBytes(600_000),
      Buffer.from(randomBytes(1_500_000).toString('base64')),
      Buffer.alloc(65_537, 'x'),
    ]
    for (const bytes of samples) expect(gunzipSync(gzip(bytes)).equals(bytes), `${bytes.length} bytes`).toBe(true)
    expect(gzip(Buffer.from(line.repeat(200))).length).toBeLessThan(20_000)
  })
})
