/** A verification as it happens: a line redrawn in place on a terminal, elsewhere only what is amiss. */
import type { VerifyEvent } from '../../verify/verify.ts'
import { type Io, isLive } from '../io.ts'
import { bytes, duration, plural, printable, shortDigest } from '../text.ts'
import { type Checked, checked, nothingChecked } from '../verify-report.ts'
import { Screen } from './screen.ts'

export interface VerifyView extends Disposable {
  event(event: VerifyEvent): void
}

/** What suits stderr. */
export const verifyViewFor = ({ stderr, env }: Io): VerifyView => {
  let state = nothingChecked
  const lines = (event: VerifyEvent): readonly string[] => linesFor(event, state)
  if (!isLive(stderr, env)) {
    return {
      event: (event) => {
        state = checked(state, event)
        for (const line of lines(event)) stderr.write(`${line}\n`)
      },
      [Symbol.dispose]: () => {},
    }
  }
  const startedAt = performance.now()
  const screen = new Screen(stderr, () => [statusLine(state, performance.now() - startedAt)])
  const clock = setInterval(() => screen.update(), 500)
  screen.update()
  return {
    event: (event) => {
      state = checked(state, event)
      screen.log(lines(event))
      screen.update()
    },
    [Symbol.dispose]: () => {
      clearInterval(clock)
      screen[Symbol.dispose]()
    },
  }
}

function statusLine({ layers, repairing }: Checked, ms: number): string {
  if (layers.length === 0) return `verify     ${duration(ms)}`
  const done = layers.filter(({ verdict }) => verdict !== undefined).length
  const sum = (sizes: readonly number[]): number => sizes.reduce((all, size) => all + size, 0)
  const seen = sum(layers.map(({ layer, passed, verdict }) => (verdict === undefined ? passed : layer.bytes)))
  const all = sum(layers.map(({ layer }) => layer.bytes))
  const what = repairing === undefined ? 'verify    ' : 'repair    '
  return `${what} ${done} of ${plural(layers.length, 'layer')}, ${bytes(seen)} of ${bytes(all)}  ${duration(ms)}`
}

function linesFor(event: VerifyEvent, { layers }: Checked): readonly string[] {
  switch (event.type) {
    case 'layer': {
      const { outcome, total, reason = '' } = event.verdict
      const name = shortDigest(layers[event.layer]?.layer.layerId ?? '')
      if (outcome === 'damaged') return [`damaged    layer ${name}: ${plural(total, 'difference')}`]
      // Of those there can be many, and the table says why.
      return outcome === 'unknown' ? [`unknown    layer ${name}: ${printable(reason)}`] : []
    }
    case 'repairing':
      return [`repair     ${printable(event.image)}`]
    case 'repair-failed':
      return [`failed     to bring ${printable(event.image)} again by digest: ${printable(event.reason)}`]
    case 'planned':
    case 'progress':
    case 'done':
      return []
  }
}
