/** What a crash, or somebody else, left in the store: each of it by itself, for nothing that lies there is a reason not to start. */
import { readdirSync } from 'node:fs'
import { failureOf } from '../../failure/failure.ts'
import type { StoreLog } from '../common/log.ts'
import { discard } from './commit.ts'
import type { Layout } from './layout.ts'

/** Does something about what is at `path`; where that fails it says so, and the rest is done all the same. */
export function attempt<T>(log: StoreLog, path: string, work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    log.error(
      { path, failure: failureOf(error) },
      'this is not as it should be, and cannot be mended: the next start tries again',
    )
    return undefined
  }
}

/** Moves it into the trash, a directory where a file should be, too; what cannot be moved stays. */
export const clear = (at: Layout, log: StoreLog, path: string): void => attempt(log, path, () => discard(at, path))

/** What is in a directory; nothing where it cannot be read. */
export const namesIn = (log: StoreLog, directory: string): readonly string[] =>
  attempt(log, directory, () => readdirSync(directory)) ?? []
