/** What came out of many crashes, and the line it is told in. */

export type Tally = {
  readonly what: string
  runs: number
  /** Images answered as pulled, or shown, that were not what was packed. */
  readonly corrupt: string[]
  /** Images answered as pulled that were gone. */
  readonly lost: string[]
  /** What somebody would have had to do by hand: a daemon that did not start, a pull that did not work again, something left lying. */
  readonly manual: string[]
  readonly readyMs: number[]
  /** Files that were compared. */
  images: number
}

export const newTally = (what: string): Tally => ({ what, runs: 0, corrupt: [], lost: [], manual: [], readyMs: [], images: 0 })

export const isClean = ({ corrupt, lost, manual }: Tally): boolean => corrupt.length + lost.length + manual.length === 0

const at = (sorted: readonly number[], share: number): string =>
  sorted.length === 0
    ? '-'
    : `${((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) / 1000).toFixed(2)} s`

/** The closing table, with what was found above it. */
export function table(tallies: readonly Tally[]): string {
  const rows = tallies.map(({ what, runs, images, corrupt, lost, manual, readyMs }) => {
    const sorted = readyMs.toSorted((a, b) => a - b)
    return [what, runs, images, corrupt.length, lost.length, manual.length, at(sorted, 0.5), at(sorted, 1)].map(String)
  })
  const all = [['case', 'runs', 'images compared', 'corrupt', 'lost', 'manual steps', 'ready, median', 'slowest'], ...rows]
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? []
  const found = tallies.flatMap(({ what, corrupt, lost, manual }) => [
    ...corrupt.map((each) => `CORRUPT ${what}: ${each}`),
    ...lost.map((each) => `LOST ${what}: ${each}`),
    ...manual.map((each) => `MANUAL ${what}: ${each}`),
  ])
  const lines = all.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
  )
  return [...found, ...lines].join('\n')
}
