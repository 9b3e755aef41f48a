/** Frees what nothing needs any more: called at the start, and after every removal. */
import type { Store } from '../store/store.ts'

/** What a collection freed: layers, and the bytes they took up on the disk of a store of ours. */
export type Collected = { readonly layers: number; readonly bytes: number }

export interface Collector {
  /**
   * Removes the layers that no image and no lease holds. Collections never overlap: whoever asks while one runs gets the next one,
   * together with all others who do. Throws no-space, system.
   */
  collect(): Promise<Collected>
}

export function createCollector(store: Pick<Store, 'collect'>): Collector {
  let last: Promise<unknown> = Promise.resolve()
  let waiting: Promise<Collected> | undefined

  const run = async (): Promise<Collected> => {
    // From here on a caller may have removed something that this collection does not see: it gets the next one.
    waiting = undefined
    const gone = await store.collect()
    return { layers: gone.length, bytes: gone.reduce((sum, { usedBytes = 0 }) => sum + usedBytes, 0) }
  }
  return {
    collect: () => {
      if (waiting !== undefined) return waiting
      const asked = last.then(run)
      waiting = asked
      // Whoever asked hears of a failure; the next collection tries anew.
      last = asked.catch(() => undefined)
      return asked
    },
  }
}
