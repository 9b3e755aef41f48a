/** Files of other programs', which may be anything: read with bounds. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'

/** Thousands of layers take a few MB. */
const MAX_BYTES = 64 * 1024 * 1024

/** What is in the file; undefined where there is none. Throws whatever else keeps it from being read. */
export function readForeign(file: string): Buffer | undefined {
  let fd: number
  try {
    // Whatever is there in place of a file, opening it must not wait.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (isAbsence(error)) return undefined
    throw error
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error('it is no regular file')
    if (stat.size > MAX_BYTES) throw new Error(`it has ${stat.size} bytes, more than ${MAX_BYTES} are not read`)
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Whether this says that there is nothing at a path, rather than that it cannot be told what. */
export const isAbsence = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
