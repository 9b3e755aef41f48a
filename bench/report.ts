/** What a benchmark says: for each case medians, ratios pair by pair, costs; and the record of all of them. */
import { cpus, release, totalmem } from 'node:os'
import { type ContenderName, contenders } from './contender.ts'
import { type CaseFigures, type Measure, median, medianOf, ratios } from './figures.ts'
import { floorCpu, floorSeconds } from './floor.ts'
import type { BenchImage } from './images/images.ts'

const seconds = (value: number): string => `${value.toFixed(2)} s`
const bytes = (value: number): string => (value < 1e9 ? `${Math.round(value / 1e6)} MB` : `${(value / 1e9).toFixed(2)} GB`)

const columns: readonly { readonly name: string; readonly measure: Measure; show(value: number): string }[] = [
  { name: 'wall', measure: 'seconds', show: seconds },
  { name: 'CPU', measure: 'cpuSeconds', show: (value) => `${value.toFixed(1)} s` },
  { name: 'peak memory', measure: 'peakRssBytes', show: bytes },
  { name: 'written', measure: 'writtenBytes', show: bytes },
]

export const titleOf = ({ case: { image, compression, fs } }: CaseFigures): string => `${image}, ${compression}, ${fs}`

const describeImage = ({ about, layers, entries, size, unpackedSize }: BenchImage): string =>
  `${about}; ${layers.length} layers, ${entries} entries, ${bytes(size)} → ${bytes(unpackedSize)}`

type Line = readonly string[]
const header: Line = ['', ...columns.map(({ name }) => name), 'times as long', 'pair by pair']

/** One line for each who took part, and the floor. */
function lines({ case: { contenders: names }, rounds, floor }: CaseFigures): Line[] {
  const [first] = names
  const costs = (name: ContenderName): Line =>
    columns.map(({ measure, show }) => {
      const value = medianOf(rounds, name, measure)
      return value === undefined ? '–' : show(value)
    })
  const each = names.map((name): Line => {
    const pairs = first === undefined || name === first ? [] : ratios(rounds, first, name, 'seconds')
    const told = pairs.length === 0 ? ['', ''] : [median(pairs).toFixed(2), pairs.map((pair) => pair.toFixed(2)).join(' ')]
    return [contenders[name].title, ...costs(name), ...told]
  })
  const fastest = first === undefined ? undefined : medianOf(rounds, first, 'seconds')
  const share = fastest === undefined ? '' : (floorSeconds(floor) / fastest).toFixed(2)
  return [...each, ['floor', seconds(floorSeconds(floor)), `${floorCpu(floor).toFixed(1)} s`, '', '', share, '']]
}

/** A table for the terminal. */
export function summary(figures: CaseFigures): string {
  const rows = [header, ...lines(figures)]
  const widths = header.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const text = rows.map((row) =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
  )
  return [`${titleOf(figures)} · ${describeImage(figures.image)} · load ${loadOf(figures)}`, ...text].join('\n')
}

const loadOf = ({ load }: CaseFigures): string => load.map((each) => each.toFixed(1)).join(' to ')

export type Machine = { readonly command: string; readonly containerd: string; readonly podman: string }

/** bench/RESULTS.md, beside which results.svg lies. */
export function results(all: readonly CaseFigures[], { command, containerd, podman }: Machine): string {
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`
  const row = (cells: Line) => `| ${cells.join(' | ')} |`
  const cases = all.map((figures) => {
    const table = [header, header.map((_, at) => (at === 0 ? '---' : '--:')), ...lines(figures)].map(row).join('\n')
    return `## ${titleOf(figures)}\n\n${describeImage(figures.image)}; load of the machine ${loadOf(figures)}.\n\n${table}\n`
  })
  return `# Cold pulls, compared

\`${command}\` wrote this file on ${new Date().toISOString().slice(0, 10)}.

![Seconds of each pull](results.svg)

- Machine: ${machine}; Node ${process.versions.node}.
- Registry: Debian's docker-registry on loopback. A fresh file system for every run: a tmpfs, or a new ext4 on a loop device.
- Peers: containerd ${containerd} (CRI plugin, overlayfs, max_concurrent_downloads 8) and podman ${podman} (its service, overlay, six copies at
  once, which is its default), both with unpigz and igzip on PATH, which they take where their version knows it. Windlass has everything on
  disk before it answers; they leave that to the kernel.
- Daemons up and empty before the clock, then in turn A B A B; medians. CPU is the daemon's with its children.
- Peak memory: the most that the daemon and its living children have resident at one moment, looked at every 100 ms; pages that they
  share count once for each. In MB of 1,000,000 bytes, as all sizes here.
- Written: bytes that reached the device until everything was on it, whenever that was. A tmpfs has none.
- Times as long: of the first in the table, within a round; of the floor, its part of the first's time.
- Floor: CPU seconds of curl, igzip or zstd, \`openssl dgst -sha256\` of blob and tar, and GNU tar making the files on a tmpfs, divided by the CPUs.

${cases.join('\n')}`
}
