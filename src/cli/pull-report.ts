/** The report of a pull that has ended, and a list of them, as a person reads them. */
import type { PullReport, ReportedLayer } from '../pull/report.ts'
import { criticalPath } from '../pull/verdict.ts'
import { fittedTable } from './fit.ts'
import { bytes, duration, plural, printable, shortDigest, table } from './text.ts'

/** One report whole. */
export function reportForPeople(report: PullReport): string {
  const { id, reference, platform, client, startedAtMs, layers, layerCount, failure } = report
  const named = [id, reference, platform, `for ${client}`, timeOf(startedAtMs)].filter((part) => part)
  const missing = layerCount - layers.length
  return [
    `pull       ${printable(named.join('  '))}
`,
    `why        ${printable(report.verdict)}
`,
    `times      ${timesOf(report)}\n`,
    ...(layers.length === 0 ? [] : ['\n', layersTable(layers)]),
    ...(missing > 0 ? [`${plural(missing, 'layer')} did not arrive\n`] : []),
    ...(failure === undefined ? ['\n', pathOf(report)] : []),
  ].join('')
}

function timesOf({ ms, queuedMs, resolveMs, tokenMs, syncMs, publishMs }: PullReport): string {
  const parts = [
    `${duration(ms)} in all`,
    `queued ${duration(queuedMs)}`,
    `resolve ${duration(resolveMs)} (token ${duration(tokenMs)})`,
    `seal ${duration(syncMs + publishMs)} (sync ${duration(syncMs)}, publish ${duration(publishMs)})`,
  ]
  return parts.join('; ')
}

function layersTable(layers: readonly ReportedLayer[]): string {
  const header = ['LAYER', 'DIGEST', 'SIZE', 'FROM', 'WAIT', 'TRANSFER', 'STARVED', 'INFLATE', 'HASH', 'WRITE', 'BELOW', 'COMMIT']
  const rows = layers.map((layer) => {
    const { origin, queuedMs, networkMs, waitMs, inflateMs, hashMs, writeMs, belowMs, commitMs } = layer
    const known = [String(layer.layer + 1), shortDigest(layer.digest), bytes(layer.blobSize)]
    if (origin === 'here') return [...known, 'here already', ...Array<string>(8).fill('')]
    const times = [queuedMs, networkMs, waitMs, inflateMs, hashMs, writeMs, belowMs, commitMs]
    return [...known, origin === 'copy' ? 'a copy on this node' : (layer.host ?? ''), ...times.map(duration)]
  })
  return table(header, rows, 2)
}

function pathOf(report: PullReport): string {
  if (report.layers.every(({ origin }) => origin === 'here')) return ''
  const steps = criticalPath(report).map(({ text, ms }) => [duration(ms), text])
  return `critical path\n${steps.map(([took = '', text = '']) => `  ${took.padStart(7)}  ${printable(text)}\n`).join('')}`
}

/** Newest first, one a line; names give way where there is little room. */
export function historyTable(reports: readonly PullReport[], width: number): string {
  const rows = reports.map(({ id, reference, client, startedAtMs, ms, layers, verdict, failure }) => [
    id,
    timeOf(startedAtMs),
    reference,
    client,
    duration(ms),
    bytes(layers.reduce((sum, { origin, blobSize }) => sum + (origin === 'registry' ? blobSize : 0), 0)),
    failure === undefined ? 'pulled' : failure.kind,
    verdict,
  ])
  const header = ['PULL', 'STARTED', 'IMAGE', 'CLIENT', 'TOOK', 'FETCHED', 'RESULT', 'WHY']
  return fittedTable(header, rows, { width, shorten: 'WHY', least: 30, expendable: ['CLIENT', 'FETCHED', 'STARTED'] })
}

/** `2026-01-02 03:04:05Z`. */
const timeOf = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace(/\.\d+/, '')
