/**
 * Directories a layer's tar left out but wrote into. Unpacked alone, such a directory is 0755 root:root, and because it stands above
 * the lower layer's in the overlay, it would take the sticky bit from /tmp. So each gets the attributes of the directory it covers:
 * the nearest lower layer that has something at its path decides.
 */

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../failure/failure.ts'
import { AT, check, cstr, cstrLatin1, ELOOP, ENOENT, ENOTDIR, failureFor, O, openat2, RESOLVE } from '../../sys/libc.ts'
import { copyDirectoryAttributes, Descriptor, isOpaque, openDirectory } from '../../sys/tree.ts'

const DIRECTORY = O.RDONLY | O.DIRECTORY | O.CLOEXEC

/** Beside `diff`, where the tar left directories out: their paths relative to it, raw bytes, in any order, each ended by a NUL. */
export const IMPLIED = 'implied'
/** More than an extractor that keeps to its limits writes by default; what is larger is no list of one. */
const MAX_LIST = 2 ** 27

/**
 * Gives each directory that is listed in `dir`, which no extractor can reach any more, its attributes. `lowers` are the diff directories
 * below, nearest first. Throws system, internal.
 */
export function attributeImplied(dir: string, lowers: readonly string[]): void {
  if (lowers.length === 0) return
  const list = readList(join(dir, IMPLIED))
  if (list.length === 0) return
  using open = new DisposableStack()
  const opened = (path: string): number => open.use(openDirectory(AT.FDCWD, cstr(path))).fd
  const view = new LowerView(opened(join(dir, 'diff')), lowers.map(opened))
  for (let at = 0; at < list.length; ) {
    const end = list.indexOf(0, at)
    if (end < 0) fail({ kind: 'internal', what: 'the list of implied directories has no end' })
    view.attribute(list.toString('latin1', at, end))
    at = end + 1
  }
}

/** The store has looked at what it took over: a file, if it is there. */
function readList(path: string): Buffer {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > MAX_LIST) fail({ kind: 'internal', what: `a list of ${size} bytes of implied directories` })
  return size === 0 ? Buffer.alloc(0) : readFileSync(path)
}

/** The layers below as they show through the directories of one layer. Paths are remembered, so that depth does not multiply. */
class LowerView {
  readonly #own: number
  readonly #lowers: readonly number[]
  readonly #below = new Map<string, readonly number[]>()

  constructor(own: number, lowers: readonly number[]) {
    this.#own = own
    this.#lowers = lowers
  }

  attribute(implied: string): void {
    const path = implied === '.' ? ROOT : implied
    const [nearest] = this.#showing(path)
    if (nearest === undefined) return
    using own = openOwn(this.#own, path)
    // An entry that came later replaced the directory: what stands there now has attributes of its own.
    if (own === undefined) return
    const found = openIn(nearest, path)
    if (typeof found === 'string') return
    using source = found
    copyDirectoryAttributes(source.fd, own.fd)
  }

  /** The lower layers that have a directory at `path` which the layers above them do not hide, nearest first. */
  #showing(path: string): readonly number[] {
    const showing: number[] = []
    for (const layer of path === ROOT ? this.#lowers : this.#showingBelow(parentOf(path))) {
      const found = openIn(layer, path)
      if (found === 'absent') continue
      // A file, or a whiteout: it and all below it are hidden.
      if (found === 'other') break
      using directory = found
      showing.push(layer)
      if (isOpaque(directory.fd)) break
    }
    return showing
  }

  /** The lower layers that show inside the directory `path` of this layer: none, where it is opaque itself. */
  #showingBelow(path: string): readonly number[] {
    const known = this.#below.get(path)
    if (known !== undefined) return known
    using own = openOwn(this.#own, path)
    const showing = own === undefined || isOpaque(own.fd) ? [] : this.#showing(path)
    this.#below.set(path, showing)
    return showing
  }
}

const ROOT = ''
const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0))
const nameOf = (path: string): Buffer => (path === ROOT ? cstr('.') : cstrLatin1(path))

/** A directory of this layer; nothing is opened through a symlink. */
function openOwn(own: number, path: string): Descriptor | undefined {
  const fd = openat2(own, nameOf(path), DIRECTORY, 0, RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS)
  if (fd === -ENOENT || fd === -ENOTDIR || fd === -ELOOP) return undefined
  return new Descriptor(check(fd, 'openat2'))
}

/** What a lower layer has at `path`; its symlinks are followed, as if it were the root (that is what containerd does too). */
function openIn(layer: number, path: string): Descriptor | 'absent' | 'other' {
  const fd = openat2(layer, nameOf(path), DIRECTORY, 0, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS)
  if (fd >= 0) return new Descriptor(fd)
  if (fd === -ENOENT) return 'absent'
  if (fd === -ENOTDIR || fd === -ELOOP) return 'other'
  return fail(failureFor(fd, 'openat2'))
}
