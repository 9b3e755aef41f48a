/** What a benchmark says: pair by pair, medians, ratio, cost. */
import { cpus, release, totalmem } from 'node:os'
import type { Abortable } from '../src/task/task.ts'
import { run } from '../test/integration/process.ts'
import type { BenchImage } from './image.ts'

/** One cold pull. CPU and memory are the daemon's and its children's. */
export type Measured = { readonly seconds: number; readonly cpuSeconds: number; readonly peakRssBytes: number }
export type Pair = { readonly ours: Measured; readonly theirs: Measured | undefined }

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1] ?? Number.NaN, sorted[sorted.length >> 1] ?? Number.NaN]
  return (low + high) / 2
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
const describeImage = (image: BenchImage): string =>
  `${image.layers.length} layers, ${image.entries} entries, ${megabytes(image.size)} → ${(image.unpackedSize / 1e9).toFixed(2)} GB`

type Row = { readonly name: string; of(pair: Pair): readonly [number, number | undefined]; show(value: number): string }

const rows: readonly Row[] = [
  { name: 'wall', of: ({ ours, theirs }) => [ours.seconds, theirs?.seconds], show: (value) => `${value.toFixed(2)} s` },
  { name: 'CPU', of: ({ ours, theirs }) => [ours.cpuSeconds, theirs?.cpuSeconds], show: (value) => `${value.toFixed(1)} s` },
  { name: 'peak RSS', of: ({ ours, theirs }) => [ours.peakRssBytes, theirs?.peakRssBytes], show: megabytes },
]

/** The medians of one row, and of the ratio within each pair. */
function medians(row: Row, pairs: readonly Pair[]): { readonly ours: number; readonly theirs?: number; readonly ratio?: number } {
  const values = pairs.map(row.of)
  const ours = median(values.map(([mine]) => mine))
  const both = values.flatMap(([mine, other]) => (other === undefined ? [] : [{ mine, other }]))
  if (both.length === 0) return { ours }
  return { ours, theirs: median(both.map(({ other }) => other)), ratio: median(both.map(({ mine, other }) => other / mine)) }
}

/** A table for the terminal. */
export function summary(image: BenchImage, fs: string, pairs: readonly Pair[]): string {
  const lines = [`cold pull · ${describeImage(image)} · ${fs} · ${cpus().length} CPUs · median of ${pairs.length}`]
  lines.push(`${''.padEnd(10)}${'windlass'.padStart(12)}${'containerd'.padStart(14)}${'ratio'.padStart(10)}`)
  for (const row of rows) {
    const { ours, theirs, ratio } = medians(row, pairs)
    const other = theirs === undefined ? '–' : row.show(theirs)
    lines.push(
      `${row.name.padEnd(10)}${row.show(ours).padStart(12)}${other.padStart(14)}${(ratio === undefined ? '–' : `${ratio.toFixed(2)} ×`).padStart(10)}`,
    )
  }
  return lines.join('\n')
}

/** bench/RESULTS.md: the same figures with what they were measured on. */
export async function results(image: BenchImage, fs: string, pairs: readonly Pair[], options: Abortable): Promise<string> {
  const version = (await run('containerd', ['--version'], options)).trim().split(' ')[2] ?? 'unknown'
  const table = rows.map((row) => {
    const { ours, theirs, ratio } = medians(row, pairs)
    return `| ${row.name} | ${row.show(ours)} | ${theirs === undefined ? '–' : row.show(theirs)} | ${ratio === undefined ? '–' : `${ratio.toFixed(2)} ×`} |`
  })
  const each = pairs.map(({ ours, theirs }, index) =>
    theirs === undefined
      ? `| ${index + 1} | ${ours.seconds.toFixed(2)} s | – | – |`
      : `| ${index + 1} | ${ours.seconds.toFixed(2)} s | ${theirs.seconds.toFixed(2)} s | ${(theirs.seconds / ours.seconds).toFixed(2)} × |`,
  )
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`
  return `# Cold pull, compared

\`npm run bench -- --runs ${pairs.length} --fs ${fs} --write\` wrote this file on ${new Date().toISOString().slice(0, 10)}.

- Image: a Debian bookworm root and four layers of packages; ${describeImage(image)}, gzip.
- Machine: ${machine}; Node ${process.versions.node}.
- Registry: Debian's docker-registry on loopback. File system: a fresh ${fs} for every run.
- Peer: Debian's containerd ${version}, CRI plugin, overlayfs, max_concurrent_downloads 8, unpigz on PATH.
- Daemons up and empty before the clock, one warm-up pull each, then in turn. CPU and memory are the daemon's with its
  living children, whose shared pages count once for each; of containerd's unpigz processes, which have ended, the CPU alone. Ratio: containerd ÷ Windlass within a pair.

| median | Windlass | containerd | ratio |
|---|---|---|---|
${table.join('\n')}

| pair | Windlass | containerd | ratio |
|---|---|---|---|
${each.join('\n')}
`
}
