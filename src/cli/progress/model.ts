/** What is known of one pull so far, folded from its events; the views draw it. */
import type { LayerOrigin, LayerReport, LayerState, PullEvent, PullPlan } from '../../pull/pull.ts'

/** Told every event of one pull, in order. Disposing it leaves the terminal as it was. */
export interface PullView extends Disposable {
  event(event: PullEvent): void
}

export type LayerProgress = {
  readonly size: number
  readonly digest: string
  readonly origin: LayerOrigin
  readonly state: LayerState
  readonly bytes: number
  readonly report?: LayerReport
}

export type Progress = {
  readonly plan?: PullPlan
  readonly layers: readonly LayerProgress[]
}

export const nothingYet: Progress = { layers: [] }

export function fold(progress: Progress, event: PullEvent): Progress {
  switch (event.type) {
    case 'planned': {
      const layers = event.plan.layers.map(({ blob, origin }): LayerProgress => {
        const state = origin === 'here' ? 'done' : 'waiting'
        return { size: blob.size, digest: blob.digest, origin, state, bytes: 0 }
      })
      return { plan: event.plan, layers }
    }
    case 'progress':
      return withLayer(progress, event.layer, ({ state, bytes }) => ({
        state: event.state,
        bytes: Math.max(bytes, event.bytes, state === 'done' ? bytes : 0),
      }))
    case 'layer':
      return withLayer(progress, event.layer, ({ size }) => ({ state: 'done', report: event.report, bytes: size }))
    case 'begun':
    case 'resolved':
    case 'room':
    case 'sealed':
    case 'done':
    case 'stopped':
      return progress
  }
}

function withLayer(progress: Progress, at: number, change: (layer: LayerProgress) => Partial<LayerProgress>): Progress {
  return { ...progress, layers: progress.layers.map((layer, i) => (i === at ? { ...layer, ...change(layer) } : layer)) }
}

/** Compressed bytes that had to come, and have. */
export function totals({ layers }: Progress): { readonly wanted: number; readonly fetched: number; readonly done: number } {
  const coming = layers.filter(({ origin }) => origin === 'registry')
  return {
    wanted: coming.reduce((sum, { size }) => sum + size, 0),
    fetched: coming.reduce((sum, { bytes, size }) => sum + Math.min(bytes, size), 0),
    done: layers.filter(({ state }) => state === 'done').length,
  }
}

/** Bytes per second over the last few seconds of what it is told; `now` in milliseconds. */
export class Meter {
  readonly #windowMs: number
  #samples: { readonly at: number; readonly bytes: number }[] = []

  constructor(windowMs = 3000) {
    this.#windowMs = windowMs
  }

  add(bytes: number, now: number): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && now - last.at < 50) return
    this.#samples.push({ at: now, bytes })
    // The newest sample outside the window stays: it is where the window begins.
    const start = this.#samples.findLastIndex(({ at }) => now - at >= this.#windowMs)
    if (start > 0) this.#samples.splice(0, start)
  }

  rate(): number {
    const [first] = this.#samples
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.at === first.at) return 0
    return Math.max(0, ((last.bytes - first.bytes) * 1000) / (last.at - first.at))
  }
}
