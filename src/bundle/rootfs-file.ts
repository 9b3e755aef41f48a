/** Reads small files of an image as the image means them, without ever leaving it. */
import { readSync } from 'node:fs'
import { fail } from '../failure/failure.ts'
import { AT, check, close, cstr, ENOENT, ENOTDIR, fstat, O, openat, openat2, RESOLVE, S } from '../sys/libc.ts'

const MAX_BYTES = 1 << 20

/**
 * The text of a regular file of at most 1 MiB; undefined where there is none. Directories on the way may be symlinks and are followed
 * inside `rootfs`; the file itself may not. Throws malformed for anything that is there and is not such a file, before reading from it.
 */
export function readInRoot(rootfs: string, path: string): string | undefined {
  const root = check(openat(AT.FDCWD, cstr(rootfs), O.PATH | O.DIRECTORY | O.CLOEXEC, 0), 'open', rootfs)
  try {
    // O_NONBLOCK: opening a FIFO would wait for its writer.
    const fd = openat2(root, cstr(path), O.RDONLY | O.NOFOLLOW | O.NONBLOCK, 0, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS)
    if (fd === -ENOENT || fd === -ENOTDIR) return undefined
    if (fd < 0) refuse(path, 'it is a symlink, or cannot be opened')
    try {
      return readRegular(fd, path)
    } finally {
      close(fd)
    }
  } finally {
    close(root)
  }
}

function readRegular(fd: number, path: string): string {
  const status = fstat(fd)
  if (typeof status === 'number') return fail({ kind: 'internal', what: `fstat of an open ${path} failed` })
  if ((status.mode & S.IFMT) !== S.IFREG) refuse(path, 'it is no regular file')
  if (status.size > MAX_BYTES) refuse(path, `it is larger than ${MAX_BYTES} bytes`)
  const bytes = Buffer.alloc(MAX_BYTES)
  let length = 0
  for (let n = readSync(fd, bytes, 0, MAX_BYTES, 0); n > 0; n = readSync(fd, bytes, length, MAX_BYTES - length, length))
    length += n
  return bytes.toString('utf8', 0, length)
}

function refuse(path: string, reason: string): never {
  fail({ kind: 'malformed', what: `/${path}`, from: 'the image', reason })
}
