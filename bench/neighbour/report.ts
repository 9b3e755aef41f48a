/** What came out, way by way: medians over the runs. */
import { cpus, release, totalmem } from 'node:os'
import type { Choice } from './neighbour.ts'
import type { Pulled } from './pull.ts'
import type { Written } from './tenant.ts'
import type { Way } from './ways.ts'

export type Measured = { readonly way: Way | 'no pull'; readonly written: readonly Written[]; readonly pulled?: Pulled }

type Row = { readonly name: string; of(run: Measured): number | undefined; show(value: number): string }

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`
const milliseconds = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`

export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

/** Records begun between two moments of a run. */
const between = ({ written }: Measured, from: number | undefined, to = Number.POSITIVE_INFINITY): readonly number[] =>
  written.flatMap(([at, ms]) => (at >= (from ?? 0) && at < to ? [ms] : []))

const wholePull = (run: Measured): readonly number[] => between(run, run.pulled?.began, run.pulled?.sealed)
/** One that was begun before the seal and had to wait for it counts as well. */
const whileSealing = ({ written, pulled }: Measured): readonly number[] =>
  pulled === undefined ? [] : written.flatMap(([at, ms]) => (at + ms > pulled.committed && at < pulled.sealed ? [ms] : []))

/** Records written in each second of the pull, of the 100 there should be. */
function kept(run: Measured): number | undefined {
  const [first, last] = [run.pulled?.began ?? run.written[0]?.[0], run.pulled?.sealed ?? run.written.at(-1)?.[0]]
  if (first === undefined || last === undefined || last <= first) return undefined
  return (between(run, first, last).length / (last - first)) * 1000
}

const rows: readonly Row[] = [
  { name: 'pull', of: ({ pulled }) => pulled && pulled.sealed - pulled.began, show: seconds },
  { name: 'seal', of: ({ pulled }) => pulled && pulled.sealed - pulled.committed, show: seconds },
  { name: 'fsync p50', of: (run) => quantile(wholePull(run), 0.5), show: milliseconds },
  { name: 'fsync p99', of: (run) => quantile(wholePull(run), 0.99), show: milliseconds },
  { name: 'fsync longest', of: (run) => quantile(wholePull(run), 1), show: milliseconds },
  { name: 'p50 in seal', of: (run) => quantile(whileSealing(run), 0.5), show: milliseconds },
  { name: 'longest in seal', of: (run) => quantile(whileSealing(run), 1), show: milliseconds },
  { name: 'records/s', of: kept, show: (value) => value.toFixed(0) },
]

/** A line for each way, and a column for each figure. */
function cells(measured: readonly Measured[]): readonly (readonly string[])[] {
  const ways = [...new Set(measured.map(({ way }) => way))]
  const lines = ways.map((way) => {
    const runs = measured.filter((run) => run.way === way)
    return [
      way,
      ...rows.map(({ of, show }) => {
        const middle = quantile(
          runs.flatMap((run) => of(run) ?? []),
          0.5,
        )
        return middle === undefined ? '–' : show(middle)
      }),
    ]
  })
  return [['', ...rows.map(({ name }) => name)], ...lines]
}

export function table(measured: readonly Measured[]): string {
  const all = cells(measured)
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0))) ?? []
  return all
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '))
    .join('\n')
}

export function markdown(measured: readonly Measured[]): string {
  const [head = [], ...lines] = cells(measured)
  const line = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...lines.map(line)].join('\n')
}

export function record(tables: readonly string[], { runs, disk, iops, network, dirty }: Choice): string {
  return `# A pull and its neighbours

\`npm run neighbour -- --runs ${runs} --disk ${disk} --iops ${iops} --network ${network} --dirty ${dirty} --write\` wrote this file on
${new Date().toISOString().slice(0, 10)}: medians of ${runs}. What was decided by it: [docs/decisions.md](../docs/decisions.md).

- Disk: a fresh ext4 on a loop device for every run, held to ${disk} MiB/s in ${iops} writes/s. Machine: ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}.
- Neighbours on it: ${dirty} MiB in memory that are not on disk, rewritten at 64 MiB/s; a record of 2 KiB appended and fdatasynced 100 times a second.
- The pull: bytes come at ${network} MiB/s; the store's and the unpacker's own code, with one of these ways of syncing.
- fsync: from the call to its return, while the pull runs, and of those that were under way while it was sealed; records/s: how many of 100 a second were written.

Ways: \`syncfs\` at the end of the pull; \`range+…\`: sync_file_range starts writing each layer as soon as it is unpacked; \`syncfs each\`: a syncfs then;
\`files\`: fsync of every file and directory at the end; \`dirs\`: sync_file_range waits for every file, then fsync of the directories.

${tables.join('\n\n')}
`
}
