/** A root is made, or it is ours already: another program's directory is never taken for one. */
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { asWindlassError, fail } from '../../failure/failure.ts'
import { syncPath } from '../../sys/sync.ts'
import type { StoreLog } from './log.ts'

/** The first file of a root. */
export const LOCK = 'windlass.lock'
/** There while pulls are left to the runtime; may be there before any store is. */
export const SWITCH = 'windlass.passthrough'
/** The runtime that images last landed in; only in a root that was locked. */
export const LAST_RUNTIME = 'windlass.runtime'

/** The directory of what layers in containerd are verified by. */
export const TAR_SPLITS = 'tar-splits'
/** Who pulled images that are in a runtime. */
export const RECEIPTS = 'receipts'
/** Images that a repair took out of a runtime, and that have not come again. */
export const WITHDRAWN = 'withdrawn.json'

/** Makes the root (0700). Throws invalid-argument for a directory that is not empty and not ours, no-space, system. */
export function makeRoot(root: string, log: StoreLog): void {
  try {
    if (existsSync(root)) {
      if ((statSync(root).mode & 0o077) !== 0) log.warn({ root }, 'other users can enter this root; what is below it they cannot')
    } else {
      makeDirectory(root)
      // mkdir's mode is cut by the umask.
      chmodSync(root, 0o700)
    }
  } catch (error) {
    throw asWindlassError(error)
  }
  const foreign = readdirSync(root).filter((name) => name !== 'lost+found' && name !== SWITCH)
  if (foreign.length === 0 || foreign.includes(LOCK)) return
  fail({
    kind: 'invalid-argument',
    what: `root ${root}`,
    reason: 'it is not empty and holds no store of Windlass; give an empty or a new directory',
  })
}

/**
 * With those above it, their names on disk. Node's own `recursive` never ends below /proc, where a directory is there and nothing can be made
 * in it.
 */
export function makeDirectory(path: string): void {
  const parent = dirname(path)
  if (!existsSync(parent)) makeDirectory(parent)
  mkdirSync(path, { mode: 0o700 })
  syncPath(parent)
}
