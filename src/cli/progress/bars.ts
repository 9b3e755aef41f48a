/** A pull as rows on a terminal: what is under way in bars, what is finished as lines that stay. */
import type { PullEvent } from '../../pull/pull.ts'
import type { Output, Paint } from '../io.ts'
import { bytes, duration, plural, printable, shortDigest } from '../text.ts'
import { fold, type LayerProgress, Meter, nothingYet, type Progress, type PullView, totals } from './model.ts'
import { linesFor } from './report.ts'
import { Screen } from './screen.ts'

const BAR = 24
/** Rows for layers; more than this under way are counted. */
const MAX_ROWS = 16

export function barsView(output: Output, paint: Paint, reference: string): PullView {
  const startedAt = performance.now()
  const total = new Meter()
  const perLayer = new Map<number, Meter>()
  let progress = nothingYet
  const screen = new Screen(output, ({ rows }) => [
    ...layerRows(progress, perLayer, paint, Math.min(MAX_ROWS, rows - 4)),
    totalRow(progress, total.rate(), performance.now() - startedAt, paint, reference),
  ])
  // The clock and the rates go on while nothing arrives: a stalled pull must look stalled.
  const clock = setInterval(() => {
    total.add(totals(progress).fetched, performance.now())
    screen.update()
  }, 500)
  screen.update()
  return {
    event: (event: PullEvent) => {
      progress = fold(progress, event)
      measure(event, progress, perLayer, total)
      screen.log(linesFor(event, progress))
      screen.update()
    },
    [Symbol.dispose]: () => {
      clearInterval(clock)
      screen[Symbol.dispose]()
    },
  }
}

function measure(event: PullEvent, progress: Progress, perLayer: Map<number, Meter>, total: Meter): void {
  if (event.type !== 'progress') return
  const now = performance.now()
  const meter = perLayer.get(event.layer) ?? new Meter()
  perLayer.set(event.layer, meter)
  meter.add(event.bytes, now)
  total.add(totals(progress).fetched, now)
}

function layerRows(progress: Progress, meters: Map<number, Meter>, paint: Paint, room: number): string[] {
  const open = progress.layers.flatMap((layer, index) => (layer.state === 'done' ? [] : [{ layer, index }]))
  // What moves comes first; waiting layers fill the rest.
  const moving = open.filter(({ layer }) => layer.state !== 'waiting')
  const shown = [...moving, ...open.filter(({ layer }) => layer.state === 'waiting')].slice(0, Math.max(1, room))
  const rows = shown
    .toSorted((a, b) => a.index - b.index)
    .map(({ layer, index }) => layerRow(layer, index, progress.layers.length, meters.get(index)?.rate() ?? 0, paint))
  if (open.length > shown.length) rows.push(paint('dim', `          and ${plural(open.length - shown.length, 'layer')} more`))
  return rows
}

function layerRow(layer: LayerProgress, index: number, count: number, rate: number, paint: Paint): string {
  const name = `layer ${index + 1}/${count}`.padEnd(10)
  const state = layer.state.padEnd(11)
  const id = paint('dim', shortDigest(layer.digest))
  if (layer.state === 'waiting') return `${name} ${id} ${paint('dim', state)} ${' '.repeat(BAR)} ${bytes(layer.size)}`
  const speed = layer.state === 'downloading' ? `  ${bytes(rate)}/s` : ''
  return `${name} ${id} ${state} ${bar(layer.bytes, layer.size, paint)} ${bytes(layer.bytes)} / ${bytes(layer.size)}${speed}`
}

function totalRow(progress: Progress, rate: number, elapsed: number, paint: Paint, reference: string): string {
  const name = paint('bold', printable(reference))
  if (progress.plan === undefined) return `${name}  resolving  ${duration(elapsed)}`
  const { wanted, fetched, done } = totals(progress)
  if (wanted === 0) return `${name}  ${done}/${plural(progress.layers.length, 'layer')}  ${duration(elapsed)}`
  const left = rate > 0 && fetched < wanted ? `  ${duration(((wanted - fetched) / rate) * 1000)} left` : ''
  const speed = fetched < wanted ? `  ${bytes(rate)}/s` : ''
  return `${name}  ${done}/${plural(progress.layers.length, 'layer')}  ${bytes(fetched)} / ${bytes(wanted)}${speed}  ${duration(elapsed)}${left}`
}

function bar(done: number, of: number, paint: Paint): string {
  const filled = of === 0 ? BAR : Math.min(BAR, Math.floor((done / of) * BAR))
  return `${paint('green', '━'.repeat(filled))}${paint('dim', '─'.repeat(BAR - filled))}`
}
