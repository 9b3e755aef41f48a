/** Files that readers of another program's see whole or not at all, before and after a power cut. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncPath } from '../../sys/sync.ts'

/** New contents of a file, on disk beside it. */
export interface Pending extends Disposable {
  /** Puts them in the file's place, for good. */
  place(): void
}

/** Writes what `file` is to hold beside it, synced. Disposing it before `place` removes it again. */
export function writeBeside(file: string, contents: string | Uint8Array): Pending {
  const beside = `${file}.new`
  write(beside, contents)
  let placed = false
  return {
    place: () => {
      renameSync(beside, file)
      placed = true
      syncPath(dirname(file))
    },
    [Symbol.dispose]: () => {
      if (!placed) rmSync(beside, { force: true })
    },
  }
}

function write(path: string, contents: string | Uint8Array): void {
  // What has the name is never opened: a FIFO would be waited for, and a link followed.
  rmSync(path, { force: true })
  const fd = openSync(path, 'wx', 0o600)
  try {
    writeFileSync(fd, contents)
    fsyncSync(fd)
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
}
