/** Copies of files into a directory of ours, each whole or not at all. */
import { constants, copyFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { type Failure, failureOf } from '../../failure/failure.ts'
import { syncPath } from '../../sys/sync.ts'

export type KeepOrder = {
  readonly files: readonly { readonly from: string; readonly to: string }[]
  /** Where all of them go. */
  readonly dir: string
  /** They are on disk afterwards; else a later sync must see to that. */
  readonly isSynced: boolean
  /** The bytes there is room for. */
  readonly room: number
}

/** The size of each, or why it is not there. */
export function keepFiles({ files, dir, isSynced, room }: KeepOrder): readonly (number | Failure)[] {
  let left = room
  const outcomes = files.map(({ from, to }) => {
    const outcome = tried(() => copy(from, to, left, isSynced))
    if (typeof outcome === 'number') left -= outcome
    return outcome
  })
  if (!isSynced) return outcomes
  const synced = tried(() => syncPath(dir))
  return outcomes.map((outcome) => synced ?? outcome)
}

/** A link would reach no other mount, though it be of the same disk; a file system that can share blocks does. */
function copy(from: string, to: string, room: number, isSynced: boolean): number | Failure {
  const { size } = statSync(from)
  if (size > room) return { kind: 'no-space', path: to, code: 'EDQUOT' }
  const beside = `${to}.new`
  try {
    copyFileSync(from, beside, constants.COPYFILE_FICLONE)
    if (isSynced) syncPath(beside)
    renameSync(beside, to)
  } catch (error) {
    rmSync(beside, { force: true })
    throw error
  }
  return size
}

function tried<T>(work: () => T): T | Failure {
  try {
    return work()
  } catch (error) {
    return failureOf(error)
  }
}
