/** A node at one glance: what is pulled, what was, and why some of it failed; the disk. */
import type { PullStatus } from '../pull/pull.ts'
import type { PullReport } from '../pull/report.ts'
import type { DaemonInfo } from './backend.ts'
import { pullsTable } from './commands/ps.ts'
import { historyDocument, statusDocument } from './documents.ts'
import type { Paint, Size } from './io.ts'
import { historyTable } from './pull-report.ts'
import { bytes, plural, printable } from './text.ts'

export type Glance = {
  readonly daemon: DaemonInfo
  readonly pulls: readonly PullStatus[]
  /** Newest first. */
  readonly history: readonly PullReport[]
}

export const glanceDocument = ({ daemon, pulls, history }: Glance) => ({
  daemon,
  pulls: pulls.map(statusDocument),
  history: history.map(historyDocument),
})

/** As many lines as there is room for: pulls under way first, of those that ended as many as fit below. */
export function glanceLines({ daemon, pulls, history }: Glance, { columns, rows }: Size, paint: Paint): readonly string[] {
  const waiting = pulls.filter(({ phase }) => phase === 'queued').length
  const title = `${plural(pulls.length, 'pull')} under way${waiting === 0 ? '' : `, ${waiting} of them waiting`}`
  const above = [
    ...daemonLines(daemon),
    '',
    paint('bold', title),
    ...(pulls.length === 0 ? [] : linesOf(pullsTable(pulls, columns))),
  ]
  if (history.length === 0) return above
  const ended = history.filter(({ failure }) => failure !== undefined).length
  const below = `last ${plural(history.length, 'pull')} that ended${ended === 0 ? '' : `, ${ended} of them failed`}`
  const [header = '', ...lines] = linesOf(historyTable(history, columns))
  const table = lines.map((line, at) => (history[at]?.failure === undefined ? line : paint('red', line)))
  // One line of them is worth more than the last of many pulls under way.
  const room = Math.max(rows - 1 - above.length, 4)
  return [...above.slice(0, Math.max(4, rows - 1 - room)), '', paint('bold', below), header, ...table].slice(0, rows - 1)
}

function daemonLines({ version, root, runtime, disk }: DaemonInfo): readonly string[] {
  const beside = runtime === undefined ? `images in ${root}` : `beside ${runtime.kind}${runtime.version && ` ${runtime.version}`}`
  const why = runtime === undefined ? '' : runtime.down || whyForwarded(runtime) || runtime.missing
  return [
    `windlass ${printable(version)}  ${printable(beside)}`,
    ...(why === '' ? [] : [`pulls are the runtime's: ${printable(why)}`]),
    ...(disk === undefined ? [] : [diskLine(disk)]),
  ]
}

const whyForwarded = ({ passthrough, obstacles }: NonNullable<DaemonInfo['runtime']>): string =>
  passthrough.on ? `passthrough, ${passthrough.reason}` : (obstacles[0] ?? '')

function diskLine({ path, totalBytes, availableBytes, usedPercent, imageBytes }: NonNullable<DaemonInfo['disk']>): string {
  const free = `${bytes(availableBytes)} of ${bytes(totalBytes)} free`
  return `disk ${usedPercent.toFixed()} % used, ${free}; images ${bytes(imageBytes)}  ${printable(path)}`
}

const linesOf = (text: string): string[] => text.trimEnd().split('\n')
