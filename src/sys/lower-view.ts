/** Layers below one another as overlay shows them: what a directory of the topmost has there. */
import { fail } from '../failure/failure.ts'
import { check, cstr, cstrLatin1, ELOOP, ENOENT, ENOTDIR, failureFor, O, openat2, RESOLVE } from './libc.ts'
import { copyDirectoryAttributes, Descriptor, isOpaque } from './tree.ts'

const DIRECTORY = O.RDONLY | O.DIRECTORY | O.CLOEXEC

/** The layers below as they show through the directories of one layer. Paths are remembered, so that depth does not multiply. */
export class LowerView {
  readonly #own: number
  readonly #lowers: readonly number[]
  readonly #below = new Map<string, readonly number[]>()

  /** Open directories: of the layer, and of those below it, nearest first. */
  constructor(own: number, lowers: readonly number[]) {
    this.#own = own
    this.#lowers = lowers
  }

  /**
   * Gives the directory at `path` (latin1, the root is empty) the attributes of the one it covers: the nearest lower layer that has something
   * there decides. Where there is none, it stays as it is.
   */
  attribute(path: string): void {
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
