/** What a run came to, as a table, and what of it missed a gate. */
import type { Held } from './held.ts'
import type { Memory } from './run.ts'

const MIB = 2 ** 20

/** Bytes over the daemon and all its processes. */
export const GATES = { pulling: 256 * MIB, idle: 128 * MIB } as const

/** An idle daemon is one that has let its extractors go. */
export function misses({ before, pulling, after }: Memory): readonly string[] {
  const over = (what: string, { rss }: Held, gate: number): string[] =>
    rss > gate ? [`${what}: ${mib(rss)} MiB resident, wanted at most ${mib(gate)}`] : []
  return [
    ...over('idle before', before, GATES.idle),
    ...over('pulling', pulling, GATES.pulling),
    ...over('idle after', after, GATES.idle),
  ]
}

export function table({ before, pulling, after, seconds }: Memory): string {
  const rows: readonly (readonly [string, Held])[] = [
    ['idle before', before],
    [`pulling, peak of ${seconds.toFixed(1)} s`, pulling],
    ...pulling.at.map((held, i): readonly [string, Held] => [i === 0 ? '  of it the daemon' : `  extractor ${i}`, held]),
    ['idle after', after],
  ]
  const cells = rows.map(([name, { processes, rss, pss, anonymous }]) => [
    name,
    ...[processes, mib(rss), mib(pss), mib(anonymous)].map(String),
  ])
  return lined([['MiB', 'processes', 'RSS', 'PSS', 'of it anonymous'], ...cells])
}

export const mib = (bytes: number): number => Math.round(bytes / MIB)

function lined(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  const pad = (cell: string, i: number): string => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))
  return lines.map((line) => line.map(pad).join('  ')).join('\n')
}
