/** An archive that is a directory: its files, opened below its descriptor, so that no link in it leads out. */
import { closeSync } from 'node:fs'
import { fail } from '../failure/failure.ts'
import { AT, check, close, cstr, ENOENT, ENOTDIR, errnoName, fstat, O, openat, openat2, RESOLVE, S } from '../sys/libc.ts'
import type { Files } from './archive.ts'
import { readAt } from './read-at.ts'

/** Throws system. */
export function openDirectory(path: string): Files {
  const dir = check(openat(AT.FDCWD, cstr(path), O.RDONLY | O.DIRECTORY | O.CLOEXEC, 0), 'open', path)
  const read = async (name: string, offset: number, length: number): Promise<Buffer> => {
    // Opened for each read: an image has hundreds of files, and a process a limit of open ones.
    using file = openBelow(dir, name, path)
    if (file === undefined) fail({ kind: 'bad-archive', archive: path, entry: name, reason: 'it has gone while it was read' })
    return await readAt(file.fd, offset, length)
  }
  return {
    find: async (name) => {
      using file = openBelow(dir, name, path)
      return file === undefined ? undefined : { size: file.size, read: (offset, length) => read(name, offset, length) }
    },
    [Symbol.asyncDispose]: async () => closeSync(dir),
  }
}

type Opened = Disposable & { readonly fd: number; readonly size: number }

/** What it is gets looked at before it is opened: to open a fifo is to wait, and to open a device to act on it. */
function openBelow(dir: number, name: string, path: string): Opened | undefined {
  const refuse = (reason: string): never => fail({ kind: 'bad-archive', archive: path, entry: name, reason })
  const found = openat2(dir, cstr(name), O.PATH | O.CLOEXEC, 0, RESOLVE.BENEATH | RESOLVE.NO_MAGICLINKS)
  if (found === -ENOENT || found === -ENOTDIR) return undefined
  if (found < 0) {
    const code = errnoName(found)
    refuse(code === 'EXDEV' ? 'it is a link that leads out of the archive' : `it cannot be opened (${code})`)
  }
  try {
    const stat = fstat(found)
    if (typeof stat === 'number' || (stat.mode & S.IFMT) !== S.IFREG) return refuse('it is no regular file')
    const fd = check(openat(AT.FDCWD, cstr(`/proc/self/fd/${found}`), O.RDONLY | O.CLOEXEC, 0), 'open', `${path}/${name}`)
    return { fd, size: stat.size, [Symbol.dispose]: () => closeSync(fd) }
  } finally {
    close(found)
  }
}
