/** Files of other programs', which may be anything: read with bounds. */
import { readRegular } from '../../sys/regular.ts'

/** Thousands of layers take a few MB. */
const MAX_BYTES = 64 * 1024 * 1024

/** What is in the file; undefined where there is none. Throws whatever else keeps it from being read. */
export function readForeign(file: string, maxBytes = MAX_BYTES): Buffer | undefined {
  const read = readRegular(file, maxBytes)
  if (read.kind === 'read') return read.bytes
  if (read.kind === 'refused') throw new Error(read.reason)
  return undefined
}

/** Whether this says that there is nothing at a path, rather than that it cannot be told what. */
export const isAbsence = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
