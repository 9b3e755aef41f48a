/** Publishing a group of images: their documents and a sync of what was written, then one transaction. */
import { asWindlassError, type Failure, fail, WindlassError } from '../../failure/failure.ts'
import type { StoreLog } from '../common/log.ts'
import { isReadable } from '../common/readable.ts'
import type { NewImage } from '../store.ts'
import type { Books } from './books.ts'
import type { Change } from './catalogue.ts'
import { exists } from './commit.ts'
import { documentsDir, dropOtherDocuments, writeDocuments } from './documents.ts'
import type { Layout } from './layout.ts'
import type { Ledger, NamesChanged } from './ledger.ts'
import type { ImageRecord, LayerRecord } from './records.ts'
import { syncFew } from './sync-files.ts'

/** An image to publish and the layers it needs recorded first, parents first. */
export type PublishOrder = { readonly image: NewImage; readonly layers: readonly LayerRecord[] }

export type Outcome =
  /** `image` is what is on record now. */
  | { readonly kind: 'published'; readonly image: ImageRecord; readonly changed: NamesChanged; readonly publishMs: number }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** What became of a group of images: nothing at all, where the disk did not take the files. */
export type Sealed =
  | { readonly kind: 'synced'; readonly syncMs: number; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'unsynced'; readonly failure: Failure }

export type Desk = {
  readonly at: Layout
  readonly ledger: Ledger
  readonly books: Books
  /** Gets what these add on disk. */
  readonly sync: (orders: readonly PublishOrder[]) => void
  readonly log: StoreLog
}

/** An order whose documents are written, where they are to be shown. */
type Prepared = PublishOrder & { readonly isShown: boolean }

/** What a transaction did to one image. */
type Recorded = {
  readonly image: ImageRecord
  readonly changed: NamesChanged
  readonly layers: readonly LayerRecord[]
  readonly isShown: boolean
}

/** An image that cannot be recorded fails alone; a disk that takes no record fails all. */
export function seal(desk: Desk, orders: readonly PublishOrder[]): Sealed {
  // Before the sync, which so makes them durable along with the layers.
  const prepared = orders.map((order) => prepare(desk, order))
  const start = performance.now()
  const synced = tried(() => desk.sync(orders))
  if (synced instanceof WindlassError) return { kind: 'unsynced', failure: synced.failure }
  const recording = performance.now()
  const at = new Date()
  const recorded = tried(() =>
    desk.books.change(
      () => prepared.map((each) => (each instanceof WindlassError ? each : record(desk, each, at))),
      (results) => changeBy(desk.ledger, results),
    ),
  )
  const publishMs = performance.now() - recording
  const outcomes = orders.map((_, i): Outcome => {
    const done = recorded instanceof WindlassError ? recorded : recorded[i]
    if (done === undefined) return { kind: 'failed', failure: { kind: 'internal', what: 'an image was not recorded' } }
    if (done instanceof WindlassError) return { kind: 'failed', failure: done.failure }
    // What an earlier manifest of the same config left. If it cannot be removed, it is in nobody's way.
    if (done.isShown) tried(() => dropOtherDocuments(desk.at, done.image))
    return { kind: 'published', image: done.image, changed: done.changed, publishMs }
  })
  return { kind: 'synced', syncMs: recording - start, outcomes }
}

/** Alone what these images add, where that is little: what neighbours have in memory is then left to them. */
export function syncAdded(at: Layout, orders: readonly PublishOrder[], syncAll: () => void): void {
  const layers = new Map(orders.flatMap((order) => order.layers.map((layer) => [layer.id, layer])))
  const documents = new Set(orders.map(({ image }) => documentsDir(at, image.id)))
  const written = [...documents].filter(exists)
  const few = tried(() => syncFew(at, [...layers.values()], written))
  if (few === true) return
  // After a failure, too: the descriptor that syncfs asks has heard of it as well, and would tell the next pull, which has lost nothing.
  const all = tried(syncAll)
  if (few instanceof WindlassError) throw new WindlassError(few.failure, few.cause ?? all)
  if (all instanceof WindlassError) throw all
}

/** Documents that podman and CRI-O could not read are not written for them, and never take the place of ones that they can. */
function prepare({ at, log }: Desk, order: PublishOrder): Prepared | WindlassError {
  return tried(() => {
    const isShown = isReadable(order.image, log)
    if (isShown) writeDocuments(at, order.image)
    return { ...order, isShown }
  })
}

function record({ ledger }: Desk, { image, layers, isShown }: Prepared, at: Date): Recorded | WindlassError {
  return ledger.attempt(() => {
    const changed = ledger.publish(image, layers, at, isShown ? 'newest' : 'on-record')
    const onRecord = ledger.image(image.id) ?? fail({ kind: 'internal', what: 'an image that was recorded is not on record' })
    return { image: onRecord, changed, layers, isShown }
  })
}

function changeBy(ledger: Ledger, results: readonly (Recorded | WindlassError)[]): Change | undefined {
  const done = results.flatMap((result) => (result instanceof WindlassError ? [] : [result]))
  if (done.length === 0) return undefined
  return {
    layers: done.flatMap(({ layers }) => layers),
    images: done.flatMap(({ image, isShown }) => (isShown ? [image] : [])),
    names: ledger.uniqueNames(),
  }
}

function tried<T>(work: () => T): T | WindlassError {
  try {
    return work()
  } catch (error) {
    return asWindlassError(error)
  }
}
