/** What the parts of a comparison hand each other. */
import type { Differences } from './difference.ts'

export type Comparison = {
  readonly differences: Differences
  /** Paths, in latin1, of directories the tar left out: their times are nobody's. */
  readonly implied: ReadonlySet<string>
  /** Whether files must be read although their bytes have been seen: their names have changed hands since. */
  readonly readsAgain: boolean
  /** Asked before every entry and every block; throws to stop. */
  readonly goOn: () => void
}

/** One name, ended by a NUL, in an open directory of each tree. `path` is for messages, in latin1. */
export type Place = { readonly path: string; readonly want: number; readonly have: number; readonly name: Buffer }

/** A path for the calls that take no directory; it leads through our own descriptor to one name. */
export const pathTo = (dir: number, name: Buffer): Buffer => Buffer.concat([Buffer.from(`/proc/self/fd/${dir}/`), name])
