/** Publishing a group of images: their documents and one sync for all that was written, then one transaction. */
import { asWindlassError, type Failure, WindlassError } from '../../failure/failure.ts'
import type { NewImage } from '../store.ts'
import type { Books } from './books.ts'
import { dropOtherDocuments, writeDocuments } from './documents.ts'
import type { Layout } from './layout.ts'
import type { Ledger, NamesChanged } from './ledger.ts'
import type { LayerRecord } from './records.ts'

/** An image to publish and the layers it needs recorded first, parents first. */
export type PublishOrder = { readonly image: NewImage; readonly layers: readonly LayerRecord[] }

export type Outcome =
  | { readonly kind: 'published'; readonly changed: NamesChanged; readonly at: Date; readonly publishMs: number }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** What became of a group of images: nothing at all, where the disk did not take the files. */
export type Sealed =
  | { readonly kind: 'synced'; readonly syncMs: number; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'unsynced'; readonly failure: Failure }

export type Desk = { readonly at: Layout; readonly ledger: Ledger; readonly books: Books; readonly sync: () => void }

/** An image that cannot be recorded fails alone; a disk that takes no record fails all. */
export function seal(desk: Desk, orders: readonly PublishOrder[]): Sealed {
  // Before the sync, which so makes them durable along with the layers.
  const documented = orders.map(({ image }) => tried(() => writeDocuments(desk.at, image)))
  const start = performance.now()
  const synced = tried(desk.sync)
  if (synced instanceof WindlassError) return { kind: 'unsynced', failure: synced.failure }
  const at = new Date()
  const recording = performance.now()
  const recorded = tried(() =>
    desk.books.change(
      () =>
        orders.map(({ image, layers }, i) => {
          const failed = documented[i]
          return failed instanceof WindlassError ? failed : desk.ledger.attempt(() => desk.ledger.publish(image, layers, at))
        }),
      (results) => changeBy(desk.ledger, orders, results),
    ),
  )
  const publishMs = performance.now() - recording
  const outcomes = orders.map(({ image }, i): Outcome => {
    const changed = recorded instanceof WindlassError ? recorded : recorded[i]
    if (changed === undefined || changed instanceof WindlassError)
      return { kind: 'failed', failure: changed?.failure ?? { kind: 'internal', what: 'an image was not recorded' } }
    tidy(desk, image)
    return { kind: 'published', changed, at, publishMs }
  })
  return { kind: 'synced', syncMs: recording - start, outcomes }
}

function changeBy(ledger: Ledger, orders: readonly PublishOrder[], results: readonly (NamesChanged | WindlassError)[]) {
  const done = orders.filter((_, i) => !(results[i] instanceof WindlassError))
  if (done.length === 0) return undefined
  return {
    layers: done.flatMap(({ layers }) => layers),
    images: done.flatMap(({ image }) => ledger.image(image.id) ?? []),
    names: ledger.uniqueNames(),
  }
}

/** Removes what an earlier manifest of the same config left. Nobody waits for it, and the next one tries again. */
function tidy({ at, ledger }: Desk, { id }: NewImage): void {
  const image = ledger.image(id)
  if (image !== undefined) tried(() => dropOtherDocuments(at, image))
}

function tried<T>(work: () => T): T | WindlassError {
  try {
    return work()
  } catch (error) {
    return asWindlassError(error)
  }
}
