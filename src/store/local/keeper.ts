/**
 * The thread that changes the store: it owns the database, commits layers and syncs the file system, one thing after another. It is a
 * thread because each of these can take tens of milliseconds to seconds on a busy disk, and the main thread answers RPCs.
 */
import { workerData } from 'node:worker_threads'
import { type Failure, failureOf } from '../../failure/failure.ts'
import type { Digest, LayerId } from '../../oci/digest.ts'
import { AT, check, cstr, O, openat, syncfs } from '../../sys/libc.ts'
import { Descriptor } from '../../sys/tree.ts'
import { logToMain, serve } from '../common/thread.ts'
import type { Damage } from '../facts.ts'
import type { Pin } from '../pins.ts'
import type { Receipts } from '../receipts.ts'
import type { Holders } from '../store.ts'
import { Books } from './books.ts'
import { Catalogue } from './catalogue.ts'
import { type CommitOrder, type Committed, commitLayer, withdrawLayer } from './commit.ts'
import { openDatabase } from './database.ts'
import type { Notes } from './diary.ts'
import { removeDocuments } from './documents.ts'
import { Guard, type Withdrawable } from './guard.ts'
import { layoutOf } from './layout.ts'
import { Ledger, type NamesChanged } from './ledger.ts'
import type { LayerBrief } from './records.ts'
import { type Recovered, recover, settle } from './recover.ts'
import { replaceLayer } from './replace.ts'
import { Reserve } from './reserve.ts'
import { type PublishOrder, type Sealed, seal, syncAdded } from './seal.ts'

/** What local.ts starts the thread with; `primaryGraphRoots` and `isLazy` are its options. */
export type KeeperData = { readonly root: string; readonly isLazy: boolean; readonly primaryGraphRoots?: readonly string[] }

export type Withdrawn = Withdrawable | { readonly kind: 'failed'; readonly failure: Failure }

/** What there is, as far as it is asked for: of thousands of layers, the rest takes twice as long to be sent over. */
export type Opened = Pick<Recovered, 'images'> & { readonly layers: readonly LayerBrief[] }

export type KeeperDuties = {
  open(_: null): Opened
  /** Follows `open`, before any other: makes everything agree with what that found. True if there is anything to sweep. */
  settle(_: null): boolean
  commit(order: CommitOrder): Committed
  /** Puts a layer in the place of a damaged one; both it and the record of it are on disk afterwards. */
  replace(order: CommitOrder): Committed
  /** Records what is known against a layer; that nothing is, once all of it is on disk. */
  mark(order: { readonly id: LayerId; readonly damage: Damage | undefined }): null
  seal(orders: readonly PublishOrder[]): Sealed
  remove(id: Digest): NamesChanged
  /** Only while it has no standing pin, and was last used then or before. */
  removeIdle(order: { readonly image: Digest; readonly usedAt: Date }): NamesChanged
  untag(tag: string): NamesChanged
  /** False if there is no such image. */
  pin(order: { readonly image: Digest; readonly pin: Pin }): boolean
  /** One owner's pin, or all. */
  unpin(order: { readonly image: Digest; readonly owner: string | undefined }): null
  expirePins(now: Date): null
  /** When images were last in use, and who pulled them again. */
  note(notes: Notes): null
  receipts(image: string): Receipts | null
  /** What other stores build on, with all below it. */
  adopted(_: null): Holders['adopted']
  /**
   * Takes layers out of the records, then out of the graph; they are in the trash afterwards. Children come before parents. Those that
   * other stores build on stay, with all below them; while somebody reads, or where the records cannot be changed, nothing is done.
   */
  withdraw(layers: readonly LayerId[]): Withdrawn
  close(_: null): null
}

function keep({ root, isLazy, primaryGraphRoots }: KeeperData): KeeperDuties {
  const at = layoutOf(root)
  // Held open from the start: syncfs reports write-back errors since the descriptor was opened (syncfs(2)).
  const mount = new Descriptor(check(openat(AT.FDCWD, cstr(root), O.RDONLY | O.DIRECTORY | O.CLOEXEC, 0), 'openat', root))
  const sync = (): void => void check(syncfs(mount.fd), 'syncfs', root)
  const ledger = new Ledger(openDatabase(at.database, logToMain), at.database)
  const catalogue = new Catalogue(at, logToMain)
  const reserve = new Reserve(at.reserve)
  const books = new Books(ledger, catalogue, reserve, at.edition, logToMain)
  const guard = new Guard(at, catalogue, primaryGraphRoots, logToMain)

  const unname = (work: () => NamesChanged): NamesChanged => {
    const changed = books.shrink(work, ({ names, gone }) =>
      names.length + gone.length === 0 ? undefined : { goneImages: gone, names: ledger.uniqueNames() },
    )
    for (const id of changed.gone) removeDocuments(at, id)
    return changed
  }
  const withdraw = (layers: readonly LayerId[]): Withdrawn => {
    using asked = guard.ask(layers)
    const { answer } = asked
    if (answer.kind === 'busy') return answer
    const recorded = answer.free.filter((id) => catalogue.layer(id) !== undefined)
    try {
      if (recorded.length > 0)
        books.shrink(
          () => ledger.forget([], recorded),
          () => ({ goneLayers: recorded }),
        )
    } catch (error) {
      return { kind: 'failed', failure: failureOf(error) }
    }
    for (const id of answer.free) withdrawLayer(at, id)
    return answer
  }

  const syncOrders = (orders: readonly PublishOrder[]): void => {
    if (!isLazy) syncAdded(at, orders, sync)
  }

  const recovery = { at, ledger, catalogue, guard, sync, log: logToMain }
  let recovered: Recovered = { layers: [], images: [] }

  return {
    open: () => {
      recovered = recover(recovery)
      return { images: recovered.images, layers: recovered.layers.map(({ owners: _, committedAt: __, ...brief }) => brief) }
    },
    settle: () => {
      const isLittered = settle(recovery, recovered)
      reserve.fill(catalogue.bytes)
      recovered = { layers: [], images: [] }
      return isLittered
    },
    commit: (order) => commitLayer(at, order),
    replace: (order) => {
      const { bytes, inodes, owners } = replaceLayer(at, order, sync)
      ledger.transaction(() => ledger.replaced(order.id, { usedBytes: bytes, inodesUsed: inodes, owners }))
      return { bytes, inodes, owners }
    },
    mark: ({ id, damage }) => {
      if (damage === undefined) sync()
      ledger.transaction(() => ledger.mark(id, damage))
      return null
    },
    seal: (orders) => seal({ at, ledger, books, sync: syncOrders, log: logToMain }, orders),
    remove: (id) => unname(() => ledger.remove(id)),
    removeIdle: ({ image, usedAt }) => unname(() => ledger.removeIdle(image, usedAt, new Date())),
    untag: (tag) => unname(() => ledger.untag(tag)),
    // What others read of the store says nothing of these.
    pin: ({ image, pin }) => ledger.transaction(() => ledger.pins.set(image, pin, new Date())),
    unpin: ({ image, owner }) => {
      ledger.transaction(() => ledger.pins.unset(image, owner))
      return null
    },
    expirePins: (now) => {
      ledger.transaction(() => ledger.pins.expire(now))
      return null
    },
    note: ({ used, receipts }) => {
      ledger.transaction(() => {
        for (const [image, at] of used) ledger.used(image, at)
        for (const { image, receipt } of receipts) ledger.receipts.note(image, receipt)
      })
      return null
    },
    receipts: (image) => ledger.receipts.of(image) ?? null,
    adopted: () => guard.adopted(),
    withdraw,
    close: () => {
      ledger.close()
      mount[Symbol.dispose]()
      return null
    },
  }
}

// Put there by local.ts, which is the only one to start this file.
serve(() => keep(workerData as KeeperData))
