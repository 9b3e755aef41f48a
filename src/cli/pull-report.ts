/** The report of a pull that has ended, and a list of them, as a person reads them. */
import type { UnfinishedLayer } from '../pull/pull.ts'
import type { PullReport, ReportedLayer } from '../pull/report.ts'
import { criticalPath } from '../pull/verdict.ts'
import { fittedTable } from './fit.ts'
import { bytes, duration, plural, printable, shortDigest, table } from './text.ts'

/** One report whole. */
export function reportForPeople(report: PullReport): string {
  const { id, reference, platform, client, startedAtMs, layers, layerCount, unfinished, failure } = report
  const named = [id, reference, platform, `for ${client}`, timeOf(startedAtMs)].filter((part) => part)
  const missing = layerCount - layers.length
  return [
    `pull       ${printable(named.join('  '))}
`,
    `why        ${printable(report.verdict)}
`,
    `times      ${timesOf(report)}\n`,
    ...(layers.length === 0 ? [] : ['\n', layersTable(layers)]),
    ...unfinished.map(unfinishedLine),
    ...(missing > 0 ? [`${plural(missing, 'layer')} did not arrive\n`] : []),
    ...(failure === undefined ? ['\n', pathOf(report)] : []),
  ].join('')
}

/** The whole sentence of a failure, where the report's own has but the cause. */
export function failureForPeople({ failure, verdict }: PullReport): string {
  return failure === undefined || verdict.includes(failure.message) ? '' : `failure    ${printable(failure.message)}\n`
}

function unfinishedLine({ layer, digest, size, bytes: came, state, ms }: UnfinishedLayer): string {
  const at = state === 'below' ? 'waiting for the layer below' : state
  const stood = `${at} for ${duration(ms)} when it ended`
  return `layer ${layer + 1}  ${shortDigest(digest)}  ${bytes(came)} of ${bytes(size)}, ${stood}\n`
}

function timesOf({ ms, queuedMs, resolveMs, tokenMs, roomMs, syncMs, publishMs }: PullReport): string {
  const parts = [
    `${duration(ms)} in all`,
    `queued ${duration(queuedMs)}`,
    `resolve ${duration(resolveMs)} (token ${duration(tokenMs)})`,
    `room ${duration(roomMs)}`,
    `seal ${duration(syncMs + publishMs)} (sync ${duration(syncMs)}, publish ${duration(publishMs)})`,
  ]
  return parts.join('; ')
}

function layersTable(layers: readonly ReportedLayer[]): string {
  const header = [
    'LAYER',
    'DIGEST',
    'SIZE',
    'FROM',
    'WAIT',
    'START',
    'TRANSFER',
    'STARVED',
    'INFLATE',
    'HASH',
    'WRITE',
    'BELOW',
    'COMMIT',
  ]
  const rows = layers.map((layer) => {
    const { origin, queuedMs, startMs, networkMs, waitMs, inflateMs, hashMs, writeMs, belowMs, commitMs } = layer
    const known = [String(layer.layer + 1), shortDigest(layer.digest), bytes(layer.blobSize)]
    if (origin === 'here') return [...known, 'here already', ...Array<string>(9).fill('')]
    const times = [queuedMs, startMs, networkMs, waitMs, inflateMs, hashMs, writeMs, belowMs, commitMs]
    return [...known, origin === 'copy' ? 'a copy on this node' : (layer.host ?? ''), ...times.map(duration)]
  })
  return table(header, rows, 2)
}

function pathOf(report: PullReport): string {
  if (report.layers.every(({ origin }) => origin === 'here')) return ''
  const steps = criticalPath(report).map(({ text, ms }) => [duration(ms), text])
  return `critical path\n${steps.map(([took = '', text = '']) => `  ${took.padStart(7)}  ${printable(text)}\n`).join('')}`
}

/** Newest first, one a line; where there is little room names give way, and of reasons what comes after the cause. */
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
  const flexible = [
    { column: 'IMAGE', least: 16, loses: 'middle' },
    { column: 'WHY', least: 20, loses: 'end' },
  ] as const
  return fittedTable(header, rows, { width, flexible, expendable: ['CLIENT', 'FETCHED', 'STARTED', 'PULL'] })
}

/** `2026-01-02 03:04:05Z`. */
const timeOf = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace(/\.\d+/, '')
