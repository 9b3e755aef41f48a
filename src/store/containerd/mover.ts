/** The thread that touches the files of staged layers: what takes long on a busy disk must not keep the thread that answers RPCs. */
import { renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { workerData } from 'node:worker_threads'
import { type Failure, failureOf } from '../../failure/failure.ts'
import { AT, check, cstr, O, openat, syncfs } from '../../sys/libc.ts'
import { syncPath } from '../../sys/sync.ts'
import { Descriptor } from '../../sys/tree.ts'
import { attributeImplied } from '../common/implied.ts'
import { seize } from '../common/seize.ts'
import { serve } from '../common/thread.ts'
import { type KeepOrder, keepFiles } from './keep.ts'

export type MoverDuties = {
  /** Takes what an extractor left at `from` to `to`, out of its reach; says whether the tar left directories out. Throws system, internal. */
  seize(order: { readonly from: string; readonly to: string }): { readonly leftOut: boolean }
  /** Gives the directories that the tar of the layer in `dir` left out the attributes they have in `lowers`, nearest first. Throws system, internal. */
  attribute(order: { readonly dir: string; readonly lowers: readonly string[] }): null
  /** Copies files to where they are kept: the size of each, or why it is not there. */
  keep(order: KeepOrder): readonly (number | Failure)[]
  /** Everything staged is on disk afterwards, and what was put into this directory; else why not. */
  sync(order: { readonly directory: string | undefined }): Failure | null
  /** Puts the tree `from` in place of the empty directory `to`, and the rename on disk. Throws system. */
  place(order: { readonly from: string; readonly to: string }): null
}

const DIRECTORY = O.RDONLY | O.DIRECTORY | O.CLOEXEC
const open = (path: string): Descriptor => new Descriptor(check(openat(AT.FDCWD, cstr(path), DIRECTORY, 0), 'openat', path))

function move(staging: string): MoverDuties {
  // Held open from the start: syncfs reports write-back errors since the descriptor was opened (syncfs(2)).
  const area = open(staging)
  return {
    seize: ({ from, to }) => seize(from, to),
    attribute: ({ dir, lowers }) => {
      attributeImplied(dir, lowers)
      return null
    },
    keep: keepFiles,
    sync: ({ directory }) => {
      try {
        check(syncfs(area.fd), 'syncfs', staging)
        // Of the same file system nearly everywhere, and then there is nothing left to do.
        if (directory !== undefined) syncPath(directory)
        return null
      } catch (error) {
        return failureOf(error)
      }
    },
    place: ({ from, to }) => {
      renameSync(from, to)
      syncPath(dirname(to))
      return null
    },
  }
}

// Put there by containerd.ts, which is the only one to start this file.
serve(() => move(String(workerData)))
