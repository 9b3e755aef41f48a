/** The node's own small files: how registries are reached, and who logs in. */
import { fail } from '../failure/failure.ts'
import { readRegular } from '../sys/regular.ts'

/** As much as a file of people's making, or a bundle of certificates, comes to. */
const MAX_FILE_BYTES = 2 ** 20

/** The text of a file; undefined where there is none. Throws bad-config where it is too large, no file, or cannot be read. */
export function readSmall(file: string): string | undefined {
  const read = readRegular(file, MAX_FILE_BYTES)
  switch (read.kind) {
    case 'read':
      return read.bytes.toString()
    case 'absent':
      return undefined
    case 'dangling':
    case 'refused':
      return fail({ kind: 'bad-config', file, reason: read.reason })
  }
}

/** For a call of node:fs that may find nothing there: then `value`. */
export const ifAbsent =
  <T>(value: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return value
    throw error
  }
