import { createHash } from 'node:crypto'
import { createReadStream, mkdtempDisposableSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { curves } from '../../bench/scale/curves.ts'
import { layerOfBytes, layerOfFiles } from '../../bench/scale/layers.ts'
import { lineText, page, picture } from '../../bench/scale/report.ts'
import { isSuperlinear, lastSlope, type Point, slope } from '../../bench/scale/slope.ts'

const along = (of: (x: number) => number): Point[] => [1, 10, 100, 1000].map((x) => [x, of(x)])

describe('the slope of a curve', () => {
  it.each<[string, (x: number) => number, number, number, boolean]>([
    ['linear', (x) => 3 * x, 1, 1, false],
    ['flat', () => 5, 0, 0, false],
    ['quadratic', (x) => x * x, 2, 2, true],
    ['n log n', (x) => x * (1 + Math.log2(x)), 1.23, 1.14, false],
  ])('%s', (_, of, all, last, superlinear) => {
    expect(slope(along(of))).toBeCloseTo(all, 0)
    expect(lastSlope(along(of))).toBeCloseTo(last, 1)
    expect(isSuperlinear(along(of))).toBe(superlinear)
  })

  it('at the end shows what a constant hides at the beginning', () => {
    const points = along((x) => 1e4 + x * x)
    expect(slope(points)).toBeLessThan(1)
    expect(isSuperlinear(points)).toBe(true)
  })

  it('is told, in a row, a page and a picture', () => {
    const [curve] = curves
    if (curve === undefined) throw new Error('there are curves')
    const line = { curve, what: 'pull', points: along((x) => x * x) }
    expect(lineText(line)).toMatch(/^layers, pull +1: 1\.00 s .*1k: 1\.00e\+6 s +slope 2\.00, at the end 2\.00: more than linear/)
    expect(page([line], { command: 'npm run scale', load: '0' })).toContain('| 2.00 | 2.00 | more than linear at the end |')
    expect(picture([line]).match(/<circle/g)).toHaveLength(4)
  })
})

describe('a layer of any size', () => {
  async function read(file: string) {
    const [names, hash]: [string[], ReturnType<typeof createHash>] = [[], createHash('sha256')]
    const entries = extract().on('entry', (header, stream, next) => {
      names.push(`${header.name} ${header.size}`)
      stream.on('end', next).resume()
    })
    const inflated = createReadStream(file).pipe(createGunzip())
    inflated.on('data', (chunk: Buffer) => hash.update(chunk))
    await pipeline(inflated, entries)
    return { names, diffId: `sha256:${hash.digest('hex')}` }
  }

  it('holds what it should, under its digests', async () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-scale-test-'))
    const files = layerOfFiles(join(dir.path, 'files'), 2_500)
    const few = await read(files.file)
    expect(few.names).toHaveLength(2_503)
    expect(few.names.at(-1)).toBe('d2/f499 1024')
    expect(few.diffId).toBe(files.diffId)
    expect(statSync(files.file).size).toBe(files.size)
    const bytes = layerOfBytes(join(dir.path, 'bytes'), 8 * 1024 * 1024)
    const large = await read(bytes.file)
    expect(large.names).toEqual([`large-0 ${8 * 1024 * 1024}`])
    expect(large.diffId).toBe(bytes.diffId)
  })
})
