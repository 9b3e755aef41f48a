/** One process per root: an flock held by an open descriptor, which the kernel lets go when the process dies, however it dies. */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { fail, failureOf } from '../../failure/failure.ts'
import { check, EWOULDBLOCK, flock, LOCK } from '../../sys/libc.ts'

/** Takes the lock and writes this process's id into the file. Throws root-in-use (at once), no-space, system. */
export function lockRoot(root: string, file: string): Disposable {
  const fd = openLockFile(file)
  try {
    const result = flock(fd, LOCK.EX | LOCK.NB)
    if (result === -EWOULDBLOCK) fail({ kind: 'root-in-use', root, ...holder(file) })
    check(result, 'flock', file)
    ftruncateSync(fd)
    writeSync(fd, `${process.pid}\n`, 0)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return { [Symbol.dispose]: () => closeSync(fd) }
}

function openLockFile(file: string): number {
  try {
    return openSync(file, 'a+', 0o600)
  } catch (error) {
    fail(failureOf(error), error)
  }
}

/** Who wrote the file. Nothing, if the holder has not come to write yet. */
function holder(file: string): { readonly pid?: number } {
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
  return Number.isSafeInteger(pid) && pid > 0 ? { pid } : {}
}
