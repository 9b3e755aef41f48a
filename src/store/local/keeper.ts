/**
 * The thread that changes the store: it owns the database, commits layers and syncs the file system, one thing after another. It is a
 * thread because each of these can take tens of milliseconds to seconds on a busy disk, and the main thread answers RPCs.
 */
import { workerData } from 'node:worker_threads'
import { type Failure, failureOf } from '../../failure/failure.ts'
import type { Digest, LayerId } from '../../oci/digest.ts'
import { AT, check, cstr, O, openat, syncfs } from '../../sys/libc.ts'
import { Descriptor, type TreeSize } from '../../sys/tree.ts'
import type { NewImage } from '../store.ts'
import { type CommitOrder, commitLayer, withdrawLayer } from './commit.ts'
import { openDatabase } from './database.ts'
import { type Layout, layoutOf } from './layout.ts'
import { Ledger, type NamesChanged } from './ledger.ts'
import type { LayerRecord } from './records.ts'
import { type Recovered, recover } from './recover.ts'
import { logToMain, serve } from './thread.ts'

/** An image to publish and the layers it needs recorded first, parents first. */
export type PublishOrder = { readonly image: NewImage; readonly layers: readonly LayerRecord[] }

export type Outcome =
  | { readonly kind: 'published'; readonly changed: NamesChanged; readonly at: Date; readonly publishMs: number }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** What became of a group of images: nothing at all, where the disk did not take the files. */
export type Sealed =
  | { readonly kind: 'synced'; readonly syncMs: number; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'unsynced'; readonly failure: Failure }

export type KeeperDuties = {
  open(_: null): Recovered
  commit(order: CommitOrder): TreeSize
  /** One syncfs for all, then one transaction for each. */
  seal(orders: readonly PublishOrder[]): Sealed
  remove(id: Digest): NamesChanged
  untag(tag: string): NamesChanged
  /** Takes layers out of the records, then out of the graph; they are in the trash afterwards. Children come before parents. */
  withdraw(layers: readonly LayerId[]): null
  close(_: null): null
}

function keep(at: Layout): KeeperDuties {
  // Held open from the start: syncfs reports write-back errors since the descriptor was opened (syncfs(2)).
  const root = new Descriptor(check(openat(AT.FDCWD, cstr(at.root), O.RDONLY | O.DIRECTORY | O.CLOEXEC, 0), 'openat', at.root))
  const ledger = new Ledger(openDatabase(at.database, logToMain), at.database)
  return {
    open: () => recover(at, ledger, logToMain),
    commit: (order) => commitLayer(at, order),
    seal: (orders) => {
      const start = performance.now()
      const synced = syncRoot(root.fd, at.root)
      if (synced !== undefined) return { kind: 'unsynced', failure: synced }
      const syncMs = performance.now() - start
      return { kind: 'synced', syncMs, outcomes: orders.map((order) => publish(ledger, order)) }
    },
    remove: (id) => ledger.remove(id),
    untag: (tag) => ledger.untag(tag),
    withdraw: (layers) => {
      ledger.forget([], layers)
      for (const id of layers) withdrawLayer(at, id)
      return null
    },
    close: () => {
      ledger.close()
      root[Symbol.dispose]()
      return null
    },
  }
}

function syncRoot(fd: number, root: string): Failure | undefined {
  try {
    check(syncfs(fd), 'syncfs', root)
    return undefined
  } catch (error) {
    return failureOf(error)
  }
}

/** The JSON files that podman and CRI-O read are to be written here, after the transaction; they repeat what it says. */
function publish(ledger: Ledger, { image, layers }: PublishOrder): Outcome {
  const start = performance.now()
  const at = new Date()
  try {
    const changed = ledger.publish(image, layers, at)
    return { kind: 'published', changed, at, publishMs: performance.now() - start }
  } catch (error) {
    return { kind: 'failed', failure: failureOf(error) }
  }
}

// A string, put there by local.ts; anything else makes a root that cannot be opened.
serve(() => keep(layoutOf(String(workerData))))
