/** What a run came to, as tables, and what of it missed a gate. */
import type { Steady } from './run.ts'

/** Milliseconds, at the 99th of a hundred. */
export const GATES = { status: 20, list: 20, loop: 50 } as const
/** More descriptors than after the warm-up are a leak only beyond what kept-alive connections come to. */
const FEW_DESCRIPTORS = 10
/** A heap that is not collected yet is no leak; one that a tenth of the cycles makes larger again and again is. */
const MUCH_MEMORY = 1.25

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** What grew although as much was removed as was pulled; nothing of this is noise. */
export function leaks({ readings }: Steady): readonly string[] {
  const [first, last] = [readings[0], readings.at(-1)]
  if (first === undefined || last === undefined) return ['nothing was read']
  const grown: string[] = []
  if (last.directories > first.directories) grown.push(`directories: ${first.directories} → ${last.directories}`)
  if (last.descriptors > first.descriptors + FEW_DESCRIPTORS)
    grown.push(`descriptors: ${first.descriptors} → ${last.descriptors}`)
  if (last.threads > first.threads) grown.push(`threads: ${first.threads} → ${last.threads}`)
  if (last.children > first.children) grown.push(`children: ${first.children} → ${last.children}`)
  return grown
}

/** Gates that were missed, as far as this machine and what else it does let them be met. */
export function misses(steady: Steady): readonly string[] {
  const late = steady.phases.flatMap(({ name, status, list, loop }) => {
    const over = (what: string, ms: number, gate: number): string[] =>
      ms > gate ? [`${name}: ${what} p99 ${ms.toFixed(1)} ms, wanted ${gate}`] : []
    return [
      ...over('ImageStatus', quantile(status, 0.99), GATES.status),
      ...over('ListImages', quantile(list, 0.99), GATES.list),
      ...over('event loop', loop.p99, GATES.loop),
    ]
  })
  const [first, last] = [steady.readings[0], steady.readings.at(-1)]
  const isLarger = first !== undefined && last !== undefined && last.rss > first.rss * MUCH_MEMORY
  return [...late, ...(isLarger ? [`memory: ${mib(first.rss)} → ${mib(last.rss)} MiB`] : []), ...leaks(steady)]
}

const mib = (bytes: number): string => String(Math.round(bytes / 2 ** 20))
const ms = (value: number): string => value.toFixed(1)

export function tables({ phases, readings }: Steady, cycles: number): string {
  const times = (values: readonly number[]): string[] => [0.5, 0.99, 1].map((share) => ms(quantile(values, share)))
  const answers = phases.map(({ name, seconds, status, list, loop }) => [
    name,
    seconds.toFixed(1),
    String(status.length),
    ...times(status),
    ...times(list),
    ...[loop.p50, loop.p99, loop.longest].map(ms),
  ])
  const three = (what: string): string[] => ['p50', 'p99', 'max'].map((each) => `${what} ${each}`)
  const held = readings.map((reading, i) => [
    String(Math.round((cycles / readings.length) * (i + 1))),
    mib(reading.rss),
    mib(reading.heap),
    ...[reading.descriptors, reading.threads, reading.children, reading.directories].map(String),
  ])
  return [
    table([['phase (ms)', 's', 'asked', ...three('status'), ...three('list'), ...three('loop')], ...answers]),
    '',
    table([['cycles', 'RSS MiB', 'heap MiB', 'descriptors', 'threads', 'children', 'directories'], ...held]),
  ].join('\n')
}

function table(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  return lines.map((line) => line.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  ')).join('\n')
}
