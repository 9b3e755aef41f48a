/** The story of a pull in lines: what stays in the log, and on the screen once the bars have gone. */
import { formatPlatform } from '../../platform/platform.ts'
import type { LayerReport, PullEvent } from '../../pull/pull.ts'
import { bytes, duration, plural, printable, shortDigest } from '../text.ts'
import type { Progress } from './model.ts'

/** The lines an event adds; `progress` is the state after it. */
export function linesFor(event: PullEvent, progress: Progress): readonly string[] {
  switch (event.type) {
    case 'resolved': {
      const { root, manifest, platform, host, ms } = event
      const way = root.digest === manifest.digest ? 'manifest' : `index ${shortDigest(root.digest)} →`
      return [
        `resolve    ${way} ${printable(formatPlatform(platform))} ${shortDigest(manifest.digest)}  ${printable(host)}  ${duration(ms)}`,
      ]
    }
    case 'planned': {
      const { layers, bytesToFetch, bytesHere } = event.plan
      const here = bytesHere > 0 ? `, ${bytes(bytesHere)} here already` : ''
      return [`plan       ${plural(layers.length, 'layer')}: ${bytes(bytesToFetch)} to fetch${here}`]
    }
    case 'layer': {
      const name = `layer ${event.layer + 1}/${progress.layers.length}`.padEnd(10)
      return [
        `${name} ${layerFacts(event.report)}`,
        ...event.report.warnings.map((text) => `           note: ${printable(text)}`),
      ]
    }
    case 'sealed':
      return [`seal       synced ${duration(event.syncMs)}, published ${duration(event.publishMs)}`]
    case 'done':
      return [`done       ${duration(event.ms)}${event.verdict === '' ? '' : `; ${printable(event.verdict)}`}`]
    case 'begun':
    case 'room':
    case 'progress':
    case 'stopped':
      return []
  }
}

function layerFacts(report: LayerReport): string {
  const { origin, blobSize, diffSize, entries, whiteouts, queuedMs, networkMs, unpackMs, attempts } = report
  const size = bytes(blobSize).padStart(7)
  if (origin === 'here') return `${size}  here already`
  const parts =
    origin === 'copy'
      ? [size, 'from a copy on this node', `unpack ${duration(unpackMs)}`, 'diffID ✓']
      : [size, `net ${duration(networkMs)}`, `unpack ${duration(unpackMs)}`, 'sha256 ✓ diffID ✓']
  parts.push(`${bytes(diffSize)} in ${plural(entries, 'entry').replace(/entrys$/, 'entries')}`)
  if (whiteouts > 0) parts.push(plural(whiteouts, 'whiteout'))
  if (queuedMs >= 100) parts.push(`waited ${duration(queuedMs)}`)
  if (attempts > 1) parts.push(plural(attempts, 'attempt'))
  return parts.join('  ')
}
