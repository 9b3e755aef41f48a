/** The store's thread with another way of syncing: its commit, its seal, its database. */
import { workerData } from 'node:worker_threads'
import type { LayerId } from '../../src/oci/digest.ts'
import { logToMain, serve } from '../../src/store/common/thread.ts'
import { Books } from '../../src/store/local/books.ts'
import { Catalogue } from '../../src/store/local/catalogue.ts'
import { type CommitOrder, type Committed, commitLayer } from '../../src/store/local/commit.ts'
import { openDatabase } from '../../src/store/local/database.ts'
import { Guard } from '../../src/store/local/guard.ts'
import { layerDir, layoutOf, tarSplitFile } from '../../src/store/local/layout.ts'
import { Ledger } from '../../src/store/local/ledger.ts'
import { recover, settle } from '../../src/store/local/recover.ts'
import { Reserve } from '../../src/store/local/reserve.ts'
import { type PublishOrder, type Sealed, seal } from '../../src/store/local/seal.ts'
import { AT, cstr } from '../../src/sys/libc.ts'
import { openDirectory } from '../../src/sys/tree.ts'
import { plans, syncDirectory, syncFile, syncFileSystem, syncTree, type Way, writeTreeAndSyncDirectories } from './ways.ts'

export type BenchKeeperData = { readonly root: string; readonly way: Way }
export type BenchKeeperDuties = {
  open(_: null): null
  commit(order: CommitOrder): Committed
  seal(order: PublishOrder): Sealed
  close(_: null): null
}

function keep({ root, way }: BenchKeeperData): BenchKeeperDuties {
  const at = layoutOf(root)
  const mount = openDirectory(AT.FDCWD, cstr(root))
  const ledger = new Ledger(openDatabase(at.database, logToMain), at.database)
  const catalogue = new Catalogue(at, logToMain)
  const books = new Books(ledger, catalogue, new Reserve(at.reserve), at.edition, logToMain)
  const syncFiles = (layers: readonly LayerId[], syncLayer: (dir: string) => void): void => {
    for (const id of layers) {
      syncLayer(layerDir(at, id))
      syncFile(tarSplitFile(at, id))
    }
    syncTree(at.images)
    for (const directory of [at.overlay, at.links, at.layers]) syncDirectory(directory)
  }
  const syncBy: Record<(typeof plans)[Way]['last'], (layers: readonly LayerId[]) => void> = {
    nothing: () => {},
    syncfs: () => syncFileSystem(mount.fd),
    files: (layers) => syncFiles(layers, syncTree),
    directories: (layers) => syncFiles(layers, writeTreeAndSyncDirectories),
  }
  const sync = syncBy[plans[way].last]
  return {
    open: () => {
      const guard = new Guard(at, catalogue, [], logToMain)
      const recovery = { at, ledger, catalogue, guard, sync: () => {}, log: logToMain }
      settle(recovery, recover(recovery))
      return null
    },
    commit: (order) => commitLayer(at, order),
    seal: (order) => {
      const layers = order.layers.map(({ id }) => id)
      return seal({ at, ledger, books, sync: () => sync(layers), log: logToMain }, [order])
    },
    close: () => {
      ledger.close()
      mount[Symbol.dispose]()
      return null
    },
  }
}

serve(() => keep(workerData as BenchKeeperData))
