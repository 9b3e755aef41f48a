/** The store on this node's own disk, where CRI-O reads it too. */
import type { Config } from '../config/config.ts'
import { fail } from '../failure/failure.ts'
import { layoutOf } from '../store/local/layout.ts'
import { type LocalStoreOptions, openLocalStore } from '../store/local/local.ts'
import type { Store } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { Logger } from './log.ts'

/** A store, where it stages layers, and where it keeps those that copies are made of. */
export type OpenStore = { readonly store: Store; readonly staging: string; readonly layers?: string }

/** `onLost` is called once if the store can change nothing any more. */
export type StoreOptions = Abortable & Pick<LocalStoreOptions, 'settlesLater'> & { readonly onLost?: (error: Error) => void }

export async function openOwnStore(
  config: Config,
  log: Logger,
  { signal, onLost, settlesLater = false }: StoreOptions,
): Promise<OpenStore> {
  const { rootDir: root, pins: pinRules, keepBlobs } = config
  const isLazy = warnIfLazy(config, log)
  if (keepBlobs) {
    const reason = 'this version keeps blobs in containerd alone; leave it out, or set runtime.kind to containerd'
    fail({ kind: 'invalid-argument', what: 'keepBlobs', reason })
  }
  const { staging, overlay } = layoutOf(root)
  const options = { root, pinRules, log, isLazy, settlesLater, ...(onLost === undefined ? {} : { onLost }) }
  return { store: await openLocalStore(options, { signal }), staging, layers: overlay }
}

/** Whether images are recorded without a sync; the log says so. */
export function warnIfLazy({ durability }: Config, log: Logger): boolean {
  const isLazy = durability === 'Lazy'
  if (isLazy) log.warn({ durability }, 'images are shown before they are on disk: a power cut may leave images without files')
  return isLazy
}
