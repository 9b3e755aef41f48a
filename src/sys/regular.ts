/**
 * Small files that people and other programs write. Whatever is in their place, opening it does not wait (a FIFO would, for its writer:
 * fifo(7)), and reading it ends.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, type Stats, statSync } from 'node:fs'

/** `reason` is a clause for a person: it says what is there instead. */
export type RegularFile =
  | { readonly kind: 'read'; readonly bytes: Buffer }
  | { readonly kind: 'absent' }
  /** A symbolic link that leads nowhere: to most programs that is nothing, to a person it is not. */
  | { readonly kind: 'dangling'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }

const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

/** All of the file at `path`, symbolic links followed, where that is a regular file of at most `maxBytes`. */
export function readRegular(path: string, maxBytes: number): RegularFile {
  try {
    const fd = openSync(path, FLAGS)
    try {
      const status = fstatSync(fd)
      if (!status.isFile()) return refused(`it is ${kindOf(status)}, not a regular file`)
      const bytes = readAll(fd, status.size, maxBytes)
      return bytes === undefined ? refused(`it is larger than ${maxBytes} bytes`) : { kind: 'read', bytes }
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return danglingAt(path)
    // Sockets, and devices without a driver (open(2)).
    const status = code === 'ENXIO' ? statSync(path, { throwIfNoEntry: false }) : undefined
    return refused(status === undefined ? `it cannot be read (${code})` : `it is ${kindOf(status)}, not a regular file`)
  }
}

const refused = (reason: string): RegularFile => ({ kind: 'refused', reason })

/** As much as there is, in one piece if its size is what it was `said` to be; undefined where that is more than `maxBytes`. */
function readAll(fd: number, said: number, maxBytes: number): Buffer | undefined {
  const chunks: Buffer[] = []
  for (let left = maxBytes + 1; left > 0; ) {
    const chunk = Buffer.allocUnsafe(Math.min(left, chunks.length === 0 && said > 0 ? said : 2 ** 16))
    const read = readSync(fd, chunk)
    if (read === 0) {
      const [first, ...more] = chunks
      return first !== undefined && more.length === 0 ? first : Buffer.concat(chunks)
    }
    chunks.push(chunk.subarray(0, read))
    left -= read
  }
  return undefined
}

function danglingAt(path: string): RegularFile {
  try {
    if (lstatSync(path).isSymbolicLink())
      return { kind: 'dangling', reason: `it is a symbolic link to ${readlinkSync(path)}, and nothing is there` }
    return refused('it has just changed')
  } catch (error) {
    const code = codeOf(error)
    return code === 'ENOENT' || code === 'ENOTDIR' ? { kind: 'absent' } : refused(`it cannot be read (${code})`)
  }
}

/** What a file is that is no regular one. */
export function kindOf(status: Stats): string {
  if (status.isDirectory()) return 'a directory'
  if (status.isFIFO()) return 'a FIFO'
  if (status.isSocket()) return 'a socket'
  return 'a device'
}

/** Throws what is no errno of a system call. */
function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  throw error
}
