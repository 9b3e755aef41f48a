import { describe, expect, it } from 'vitest'
import { barChart, logLogPlot } from '../../bench/chart.ts'
import { type CaseFigures, type Measured, median, medianOf, ratios } from '../../bench/figures.ts'
import { results, summary } from '../../bench/report.ts'
import { sha256 } from '../../src/oci/digest.ts'

const measured = (seconds: number, writtenBytes?: number): Measured => ({
  seconds,
  cpuSeconds: seconds * 2,
  peakRssBytes: 100e6,
  writtenBytes,
})
const rounds = [
  [2, 10],
  [4, 10],
  [3, 12],
].map(
  ([ours = 0, theirs = 0]) =>
    new Map([
      ['windlass', measured(ours)],
      ['containerd', measured(theirs, 7)],
    ] as const),
)
const figures: CaseFigures = {
  case: { image: 'big-layer', compression: 'gzip', fs: 'ext4', contenders: ['windlass', 'containerd'] },
  image: {
    name: 'big-layer',
    compression: 'gzip',
    about: 'one layer of large files',
    config: '',
    layers: [],
    imageId: sha256(''),
    size: 560e6,
    unpackedSize: 1.08e9,
    entries: 13,
  },
  floor: { transfer: 0.5, inflate: 1, sha256: 1, files: 0.5 },
  rounds,
  load: [1, 2],
}

describe('figures', () => {
  it('are medians, and ratios within a round', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([1, 2])).toBe(1.5)
    expect(medianOf(rounds, 'windlass', 'seconds')).toBe(3)
    expect(medianOf(rounds, 'windlass', 'writtenBytes')).toBeUndefined()
    expect(ratios(rounds, 'windlass', 'containerd', 'seconds')).toEqual([5, 2.5, 4])
  })

  it('are told with whom they are compared, the floor, and the load', () => {
    const text = summary(figures)
    expect(text).toContain('560 MB → 1.08 GB · load 1.0 to 2.0')
    expect(text).toMatch(/containerd +10\.00 s +20\.0 s +100 MB +0 MB +4\.00 +5\.00 2\.50 4\.00/)
    expect(text).toMatch(/floor .*3\.0 s/)
    const page = results([figures], { command: 'npm run bench -- --write', containerd: '1.6', podman: '4.3' })
    expect(page).toContain('## big-layer, gzip, ext4')
    expect(page).toContain('| Windlass | 3.00 s | 6.0 s | 100 MB | – |  |  |')
  })
})

describe('drawings', () => {
  it('have a bar for each value, in proportion, and escape what they are given', () => {
    const bar = (name: string, value: number) => ({ name, value, label: `${value} s`, colour: '#000' })
    const drawn = barChart('a < b', [{ title: 'one', bars: [bar('x & y', 10), bar('z', 5)] }])
    const widths = [...drawn.matchAll(/<rect x="200" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width))
    expect(widths).toEqual([570, 285])
    expect(drawn).toContain('a &lt; b')
    expect(drawn).toContain('x &amp; y')
  })

  it('put a linear curve on the diagonal of a log-log plot', () => {
    const plot = logLogPlot(
      't',
      ['x', 'y'],
      [
        {
          name: 'c',
          points: [
            [1, 1],
            [10, 10],
            [100, 100],
          ],
        },
      ],
      [0, 0],
    )
    const points = (/<polyline points="([^"]+)"/.exec(plot)?.[1] ?? '').split(' ').map((point) => point.split(',').map(Number))
    const [[x1 = 0, y1 = 0] = [], [x2 = 0, y2 = 0] = [], [x3 = 0, y3 = 0] = []] = points
    expect(x2 - x1).toBeCloseTo(x3 - x2, 1)
    expect(y1 - y2).toBeCloseTo(y2 - y3, 1)
    expect(y1).toBeGreaterThan(y3)
  })
})
