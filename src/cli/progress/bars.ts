/** A pull as rows on a terminal: what is under way in bars, what is finished as lines that stay. */
import type { PullEvent } from '../../pull/pull.ts'
import { folded, shortened } from '../fit.ts'
import { type Output, type Paint, sizeOf } from '../io.ts'
import { bytes, duration, plural, printable, shortDigest } from '../text.ts'
import { fold, type LayerProgress, Meter, nothingYet, type Progress, type PullView, totals } from './model.ts'
import { linesFor } from './report.ts'
import { Screen } from './screen.ts'

/** Rows for layers; more than this under way are counted. */
const MAX_ROWS = 16

export function barsView(output: Output, paint: Paint, reference: string): PullView {
  const startedAt = performance.now()
  const total = new Meter()
  const perLayer = new Map<number, Meter>()
  let progress = nothingYet
  const screen = new Screen(output, ({ columns, rows }) => [
    ...layerRows(progress, perLayer, { paint, ...layoutFor(columns) }, Math.min(MAX_ROWS, rows - 4)),
    totalRow(progress, total.rate(), performance.now() - startedAt, { paint, columns, reference }),
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
      screen.log(linesFor(event, progress).flatMap((line) => folded(line, sizeOf(output).columns)))
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

type Layout = { readonly digest: boolean; readonly bar: number }
type Style = Layout & { readonly paint: Paint }

const WIDEST_BAR = 24
const NARROWEST_BAR = 6
/** `layer 1/12 downloading  999 MB / 1.23 GB  99.9 MB/s`, and the digest before the state. */
const FIGURES = 54
const DIGEST = 13

/** What of a row fits: figures always, the bar as far as there is room, the digest where both leave some. */
function layoutFor(columns: number): Layout {
  const digest = columns >= FIGURES + DIGEST + NARROWEST_BAR
  const bar = Math.min(WIDEST_BAR, columns - FIGURES - (digest ? DIGEST : 0))
  return { digest, bar: bar >= NARROWEST_BAR ? bar : 0 }
}

function layerRows(progress: Progress, meters: Map<number, Meter>, style: Style, room: number): string[] {
  const open = progress.layers.flatMap((layer, index) => (layer.state === 'done' ? [] : [{ layer, index }]))
  // What moves comes first; waiting layers fill the rest.
  const moving = open.filter(({ layer }) => layer.state !== 'waiting')
  const shown = [...moving, ...open.filter(({ layer }) => layer.state === 'waiting')].slice(0, Math.max(1, room))
  const rows = shown
    .toSorted((a, b) => a.index - b.index)
    .map(({ layer, index }) => {
      const name = `layer ${index + 1}/${progress.layers.length}`.padEnd(10)
      return `${name} ${layerRow(layer, meters.get(index)?.rate() ?? 0, style)}`
    })
  if (open.length > shown.length)
    rows.push(style.paint('dim', `          and ${plural(open.length - shown.length, 'layer')} more`))
  return rows
}

function layerRow(layer: LayerProgress, rate: number, { digest, bar, paint }: Style): string {
  const isWaiting = layer.state === 'waiting'
  const state = layer.state.padEnd(11)
  const speed = layer.state === 'downloading' ? `  ${bytes(rate)}/s` : ''
  return [
    ...(digest ? [paint('dim', shortDigest(layer.digest))] : []),
    isWaiting ? paint('dim', state) : state,
    ...(bar === 0 ? [] : [isWaiting ? ' '.repeat(bar) : drawn(layer.bytes, layer.size, bar, paint)]),
    isWaiting ? bytes(layer.size) : `${bytes(layer.bytes)} / ${bytes(layer.size)}${speed}`,
  ].join(' ')
}

/** The characters a reference keeps, whatever else wants to be in its row. */
const LEAST_NAME = 12

type Place = { readonly paint: Paint; readonly columns: number; readonly reference: string }

function totalRow(progress: Progress, rate: number, elapsed: number, { paint, columns, reference }: Place): string {
  const parts = totalParts(progress, rate, elapsed)
  const widthOf = (): number => parts.reduce((sum, part) => sum + part.length + 2, 0)
  // The last ones can be worked out from the others.
  while (parts.length > 3 && widthOf() + LEAST_NAME > columns) parts.pop()
  const name = shortened(printable(reference), Math.max(LEAST_NAME, columns - widthOf()))
  return [paint('bold', name), ...parts].join('  ')
}

/** What matters most comes first. */
function totalParts(progress: Progress, rate: number, elapsed: number): string[] {
  if (progress.plan === undefined) return ['resolving', duration(elapsed)]
  const { wanted, fetched, done } = totals(progress)
  const layers = `${done}/${plural(progress.layers.length, 'layer')}`
  if (wanted === 0) return [layers, duration(elapsed)]
  const amount = `${bytes(fetched)} / ${bytes(wanted)}`
  if (fetched >= wanted) return [layers, amount, duration(elapsed)]
  const left = rate > 0 ? [`${duration(((wanted - fetched) / rate) * 1000)} left`] : []
  return [layers, amount, `${bytes(rate)}/s`, duration(elapsed), ...left]
}

function drawn(done: number, of: number, width: number, paint: Paint): string {
  const filled = of === 0 ? width : Math.min(width, Math.floor((done / of) * width))
  return `${paint('green', '━'.repeat(filled))}${paint('dim', '─'.repeat(width - filled))}`
}
