import { randomBytes } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { openIsal } from '../../src/unpack/isal.ts'

const hasIsal = openIsal() !== undefined
if (!hasIsal) console.warn('libisal.so.2 is not installed: its gzip is not tested here')

afterEach(() => vi.unstubAllEnvs())

/** As a process with this environment has it. */
async function freshGzip(withoutIsal: string) {
  vi.stubEnv('WINDLASS_NO_ISAL', withoutIsal)
  vi.resetModules()
  return (await import('../../src/unpack/tar/gzip.ts')).gzip
}

describe.each([
  ['by the library, where it is', ''],
  ['by zlib', '1'],
])('gzip %s', (_, withoutIsal) => {
  it('gives back what it was given, however large and however little of it compresses', async () => {
    const gzip = await freshGzip(withoutIsal)
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

  it('is made by what it says', async () => {
    const gzip = await freshGzip(withoutIsal)
    const text = Buffer.from('windlass '.repeat(1000))
    expect(gzipSync(text, { level: 1 }).equals(gzip(text))).toBe(withoutIsal === '1' || !hasIsal)
  })
})
