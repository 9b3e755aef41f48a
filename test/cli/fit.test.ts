import { describe, expect, test } from 'vitest'
import { pullsTable } from '../../src/cli/commands/ps.ts'
import { folded, shortened } from '../../src/cli/fit.ts'
import { barsView } from '../../src/cli/progress/bars.ts'
import { Screen } from '../../src/cli/progress/screen.ts'
import { historyTable } from '../../src/cli/pull-report.ts'
import { parseDiffId, sha256 } from '../../src/oci/digest.ts'
import type { PullEvent, PullStatus } from '../../src/pull/pull.ts'
import { reportOf } from '../../src/pull/report.ts'
import { kept } from './terminal.ts'

const LONG = 'registry.internal.example.com:5000/platform/observability/agent-with-a-long-name:v1.2.3-rc.4'

test('a long name loses its middle', () => {
  expect(shortened('short', 5)).toBe('short')
  expect(shortened('abcdefghij', 7)).toBe('ab…ghij')
  expect(shortened(LONG, 30)).toHaveLength(30)
  expect(shortened(LONG, 30)).toMatch(/^registry.*….*:v1\.2\.3-rc\.4$/)
})

test('a long line goes on below, broken between its parts; no part is cut', () => {
  const line = 'layer 1/3  59.8 MB  net 0.1 s  unpack 0.4 s  sha256 ✓ diffID ✓  119 MB in 1210 entries  1 whiteout'
  expect(folded(line, 120)).toEqual([line])
  expect(folded(line, 80)).toEqual([
    'layer 1/3  59.8 MB  net 0.1 s  unpack 0.4 s  sha256 ✓ diffID ✓',
    '           119 MB in 1210 entries  1 whiteout',
  ])
  expect(folded(line, 10)).toEqual([line])
})

describe('pulls in flight', () => {
  const digest = sha256('a layer')
  const status = (reference: string, clients: PullStatus['clients']): PullStatus => ({
    id: 'ab12cd34',
    reference,
    platform: { os: 'linux', architecture: 'amd64' },
    clients,
    startedAt: new Date(Date.now() - 65_000),
    phase: 'resolving',
    layers: [{ digest, size: 123_456_789, state: 'downloading', bytes: 99_900_000 }],
  })

  test.each([79, 99, 60])('fit %d columns with every figure', (width) => {
    const lines = pullsTable([status(LONG, ['cri', 'cri', 'control', 'cli']), status('r.example/a:1', ['cri'])], width)
      .trimEnd()
      .split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width)
    for (const line of lines.slice(1)) expect(line).toMatch(/ resolving .*99\.9 MB \/ 123 MB +1m0\ds/)
    expect(lines[1]).toMatch(/regis.*….*rc\.4 /)
  })

  test('are shown whole where they fit', () => {
    expect(pullsTable([status(LONG, ['cri'])], 200)).toBe(pullsTable([status(LONG, ['cri'])]))
  })
})

describe('pulls that ended', () => {
  const ended = (reference: string, kind: string, cause: string) => {
    const begun = { type: 'begun', id: 'ab12cd34', reference, client: 'cri', startedAt: new Date(0) } as const
    const times = { ms: 22_400, step: 'resolving', stepMs: 22_400, queuedMs: 0, tokenMs: 0 } as const
    const stopped = { type: 'stopped', ...times, layers: [], cause } as const
    return reportOf({ reference: '', ms: 0 }, [begun, stopped], { kind, message: `${reference}: ${cause}` })
  }
  const reports = [
    ended(LONG, 'registry-unavailable', '503 Service Unavailable'),
    ended('r.example/a:1', 'manifest-unknown', '404 MANIFEST_UNKNOWN'),
  ]

  test.each([80, 79, 100])('fit %d columns with how long they took, what became of them, and the cause', (width) => {
    const lines = historyTable(reports, width).trimEnd().split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width)
    expect(lines[0]).toMatch(/IMAGE +.*TOOK +.*RESULT +WHY/)
    expect(lines[1]).toMatch(/rc\.4 .* 22 s .*registry-unavailable +503 Service/)
    expect(lines[2]).toMatch(/r\.example\/a:1 .* 22 s .*manifest-unknown +404 MANIFEST_/)
  })

  test('say why first, and how far they came after it', () => {
    expect(historyTable(reports, 300)).toMatch(/ 503 Service Unavailable; failed after 22\.4 s, before it was resolved$/m)
  })
})

test.each([
  [{ columns: 80, rows: 24 }, 79],
  [{ columns: 60, rows: 24 }, 59],
  [{ columns: 0, rows: 0 }, 79],
])('bars in a terminal of %j keep their figures', (tty, width) => {
  const { output, text } = kept(tty)
  const descriptor = (size: number) => ({ mediaType: 'x', digest: sha256(String(size)), size })
  const layers = [520_000_000, 1_230_000_000, 3_000].map((size) => ({
    blob: descriptor(size),
    diffId: parseDiffId(sha256('diff')),
    origin: 'registry' as const,
  }))
  const plan = {
    reference: LONG,
    platform: { os: 'linux', architecture: 'amd64' },
    root: descriptor(1),
    manifest: descriptor(1),
    imageId: sha256('image'),
    layers,
    present: false,
    bytesToFetch: 1_750_003_000,
    bytesHere: 0,
  }
  const events: PullEvent[] = [
    { type: 'planned', plan },
    { type: 'progress', layer: 0, state: 'downloading', bytes: 123_000_000 },
    { type: 'progress', layer: 1, state: 'downloading', bytes: 999_000_000 },
  ]
  using view = barsView(output, (_, plain) => plain, LONG)
  for (const event of events) view.event(event)
  // A layer that has arrived draws at once, without waiting for the next frame.
  const steps = { startMs: 1, waitMs: 1, inflateMs: 1, hashMs: 1, writeMs: 1, belowMs: 1, commitMs: 1 }
  const report = { origin: 'registry', blobSize: 3_000, diffSize: 3_072, entries: 1210, whiteouts: 12, queuedMs: 200 } as const
  view.event({ type: 'layer', layer: 2, report: { ...report, networkMs: 1, unpackMs: 1, ...steps, attempts: 3, warnings: [] } })
  const frame = text().slice(text().lastIndexOf('layer 3/3')).trimEnd().split('\n')
  expect(Math.max(...frame.map((line) => line.length))).toBeLessThanOrEqual(width + 1)
  expect(frame.join('\n')).toMatch(/layer 1\/3 .*downloading .*123 MB \/ 520 MB {2}0 B\/s$/m)
  expect(frame.join('\n')).toMatch(/layer 2\/3 .*downloading .*999 MB \/ 1\.23 GB {2}0 B\/s$/m)
  expect(frame.at(-1)).toMatch(/^reg.*….*rc\.4 {2}1\/3 layers {2}1\.12 GB \/ 1\.75 GB {2}/)
  expect(frame.join(' ').replace(/\s+/g, ' ')).toContain('3.07 kB in 1210 entries 12 whiteouts waited 0.2 s 3 attempts')
})

test('a screen of no size is drawn as one of unknown size', () => {
  const { output, text } = kept({ columns: 0, rows: 0 })
  using screen = new Screen(output, ({ columns, rows }) => [`${columns}×${rows}`, 'second'])
  screen.update()
  expect(text()).toContain('79×24\nsecond\n')
})
