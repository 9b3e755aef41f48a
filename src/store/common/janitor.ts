/** The thread that removes: it empties the trash, so that neither a commit nor an answer waits for an `rm -rf`. */
import { workerData } from 'node:worker_threads'
import { AT, cstr } from '../../sys/libc.ts'
import { emptyDirectory } from '../../sys/tree.ts'
import { serve } from './thread.ts'

/** `stop` is one shared integer; once it is not 0 the janitor drops its broom, and the next start goes on. */
export type JanitorData = { readonly trash: string; readonly stop: SharedArrayBuffer }

export type JanitorDuties = {
  /** Removes everything that was in the trash when it was called. False if it was stopped. */
  sweep(_: null): boolean
}

function clean({ trash, stop }: JanitorData): JanitorDuties {
  const flag = new Int32Array(stop)
  return { sweep: () => emptyDirectory(AT.FDCWD, cstr(trash), () => Atomics.load(flag, 0) === 0) }
}

// Put there by local.ts, which is the only one to start this file.
serve(() => clean(workerData as JanitorData))
