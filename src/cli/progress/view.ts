/** Shows a pull as it happens: bars for a person, lines for a log, one JSON event a line for a program. */
import { eventDocument } from '../documents.ts'
import { type Io, isLive, type Output, painter } from '../io.ts'
import { jsonLine } from '../output.ts'
import { bytes, plural } from '../text.ts'
import { barsView } from './bars.ts'
import { fold, Meter, nothingYet, type Progress, type PullView, totals } from './model.ts'
import { linesFor } from './report.ts'

export const silentView: PullView = { event: () => {}, [Symbol.dispose]: () => {} }

/** What suits stderr. */
export const viewFor = (io: Io, reference: string): PullView =>
  isLive(io.stderr, io.env) ? barsView(io.stderr, painter(io.stderr, io.env), reference) : linesView(io.stderr)

/** Every event on stdout. */
export const jsonView = (io: Io): PullView => ({
  event: (event) => void io.stdout.write(jsonLine(eventDocument(event))),
  [Symbol.dispose]: () => {},
})

/** A sign of life for logs, however long a layer takes. */
const HEARTBEAT_MS = 10_000

export function linesView(output: Output): PullView {
  let progress = nothingYet
  const meter = new Meter(HEARTBEAT_MS)
  const heartbeat = setInterval(() => {
    meter.add(totals(progress).fetched, performance.now())
    const line = stillAtIt(progress, meter.rate())
    if (line !== undefined) output.write(`${line}\n`)
  }, HEARTBEAT_MS)
  return {
    event: (event) => {
      progress = fold(progress, event)
      meter.add(totals(progress).fetched, performance.now())
      for (const line of linesFor(event, progress)) output.write(`${line}\n`)
    },
    [Symbol.dispose]: () => clearInterval(heartbeat),
  }
}

function stillAtIt(progress: Progress, rate: number): string | undefined {
  const { wanted, fetched, done } = totals(progress)
  if (progress.plan === undefined || done === progress.layers.length) return undefined
  const active = ['downloading', 'unpacking', 'committing'].flatMap((state) => {
    const count = progress.layers.filter((layer) => layer.state === state).length
    return count === 0 ? [] : [`${count} ${state}`]
  })
  return `           ${bytes(fetched)} of ${bytes(wanted)}, ${bytes(rate)}/s; ${done} of ${plural(progress.layers.length, 'layer')} done, ${active.join(', ')}`
}
