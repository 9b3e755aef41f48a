/**
 * The directories of one layer while it is unpacked: which exist, what attributes they will get, and open descriptors for the ones in use.
 *
 * The staging directory is ours alone, so what is recorded here is what is on disk. Paths are walked one component at a time with
 * O_NOFOLLOW below a directory descriptor; symlinks the layer brought are followed by hand, inside the root. A path of the layer is
 * never given to the kernel as a whole.
 *
 * Records are few: before there are too many, all get what they are owed and are forgotten, and one that is needed again is read back from
 * disk (`settle`, `#adopt`).
 */

import {
  AT,
  check,
  close,
  cstrLatin1,
  EEXIST,
  EINVAL,
  ENAMETOOLONG,
  ENOENT,
  errnoName,
  lstatat,
  mkdirat,
  O,
  openat,
  readlinkat,
  S,
  type Stat,
  unlinkat,
} from '../../sys/libc.ts'
import { BadTar } from '../tar/entry.ts'
import { type Directory, type DirectoryAttributes, groupFor, subtree } from './directory.ts'
import { readBack } from './settled.ts'

/** What the whole layer is told of: directories it did not name, and those whose records were forgotten. */
export interface Ledger {
  /** A directory was made that has no entry yet. */
  made(): void
  /** True for a directory that was forgotten before it had an entry of its own. */
  wasImplied(directory: Directory): boolean
}

/** How many descriptors one worker keeps; tars list a directory's files together, so few are enough. */
const MAX_OPEN = 128
/** As many links as containerd follows in one path. */
const MAX_LINKS = 255
/** Components looked at for one path, links' targets included. */
const MAX_STEPS = 16_384
/** PATH_MAX: nobody could use a longer path, and containerd makes none. */
const MAX_PATH = 4095
const DIRECTORY = O.PATH | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC

export const isWhiteout = (stat: Stat): boolean =>
  (stat.mode & S.IFMT) === S.IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0

export class Directories implements Disposable {
  readonly root: Directory
  /** How many records there are. */
  size = 0
  /** True once any directory was made opaque. */
  hasOpaque = false
  readonly #ledger: Ledger
  /** Directories with an open descriptor, oldest first. */
  readonly #open = new Set<Directory>()

  /** `path` is the layer's root, an empty directory. */
  constructor(path: string, ledger: Ledger) {
    this.#ledger = ledger
    const fd = check(openat(AT.FDCWD, Buffer.from(`${path}\0`), DIRECTORY, 0), 'open', path)
    const nothing = { children: undefined, attributes: undefined, opaque: false, inheritedGroup: undefined, isReadBack: false }
    this.root = { name: '', parent: undefined, pathLength: -1, fd, ...nothing }
  }

  [Symbol.dispose](): void {
    this.#closeAll()
    close(this.root.fd)
  }

  /** The descriptor of a directory, valid until the next call for another one that does not name it as `keep`. */
  fd(directory: Directory, keep?: Directory): number {
    if (directory.fd >= 0) return directory.fd
    const missing = [directory]
    for (let up = directory.parent; up !== undefined && up.fd < 0; up = up.parent) missing.push(up)
    let fd = missing.at(-1)?.parent?.fd ?? this.root.fd
    for (const next of missing.reverse()) {
      fd = check(openat(fd, cstrLatin1(next.name), DIRECTORY, 0), 'openat', next.name)
      this.#keep(next, fd, keep)
    }
    return fd
  }

  /**
   * The directory that `components` lead to, following symlinks inside the root and making what is missing. Undefined where the way
   * leads through a name this layer has whited out, and `overWhiteouts` is false; with it, the whiteout becomes an opaque directory.
   * Throws BadTar where something else than a directory is in the way.
   */
  make(components: readonly string[], overWhiteouts: boolean): Directory | undefined {
    return this.#walk(components, (parent, name, stat) => {
      if (stat === undefined) return this.#imply(parent, name)
      if (!isWhiteout(stat)) throw new BadTar(`${name} is not a directory`)
      if (!overWhiteouts) return undefined
      check(unlinkat(this.fd(parent), cstrLatin1(name), 0), 'unlinkat', name)
      return this.hide(this.#imply(parent, name))
    })
  }

  /** As `make`, but finds only what is there. */
  find(components: readonly string[]): Directory | undefined {
    return this.#walk(components, () => undefined)
  }

  /** The directory of this name in `parent`; undefined where there is none, or something else. */
  child(parent: Directory, name: string): Directory | undefined {
    const known = parent.children?.get(name)
    if (known !== undefined) return known
    const stat = lstatat(this.fd(parent), cstrLatin1(name))
    return typeof stat !== 'number' && (stat.mode & S.IFMT) === S.IFDIR ? this.adopt(parent, name, stat) : undefined
  }

  /** Makes a directory. Throws BadTar where the name is taken. */
  add(parent: Directory, name: string, attributes: DirectoryAttributes | undefined, mode: number): Directory {
    const pathLength = parent.pathLength + 1 + name.length
    if (pathLength > MAX_PATH) throw new BadTar(`a path of more than ${MAX_PATH} bytes: ${errnoName(ENAMETOOLONG)}`)
    const result = mkdirat(this.fd(parent), cstrLatin1(name), mode)
    if (result === -EEXIST) throw new BadTar(`${name} is not a directory`)
    if (result === -ENAMETOOLONG) throw new BadTar(`${name.slice(0, 80)}… is too long a name: ${errnoName(result)}`)
    check(result, 'mkdirat', name)
    const inheritedGroup = groupFor(parent)
    return this.#record({ name, parent, pathLength, attributes, opaque: false, inheritedGroup, isReadBack: false })
  }

  /** The record of a directory that is on disk but was forgotten; `stat` is its own. */
  adopt(parent: Directory, name: string, stat: Stat): Directory {
    const { opaque, attributes } = readBack(this.fd(parent), name, stat)
    const place = { name, parent, pathLength: parent.pathLength + 1 + name.length }
    const directory = this.#record({ ...place, attributes, opaque, inheritedGroup: undefined, isReadBack: true })
    if (this.#ledger.wasImplied(directory)) directory.attributes = undefined
    return directory
  }

  /** Makes a directory opaque; gives it back. */
  hide(directory: Directory): Directory {
    directory.opaque = true
    this.hasOpaque = true
    return directory
  }

  /** Drops a directory and all below it from the record; the caller removes them from disk. */
  forget(directory: Directory): void {
    for (const each of subtree(directory)) {
      this.size--
      if (each.fd < 0) continue
      close(each.fd)
      each.fd = -1
      this.#open.delete(each)
    }
    directory.parent?.children?.delete(directory.name)
  }

  /** Hands out every record but the root's, parents first, and forgets them all. No directory may be in use. */
  settle(each: (directory: Directory, parent: Directory) => void): void {
    for (const directory of subtree(this.root)) if (directory.parent !== undefined) each(directory, directory.parent)
    this.#closeAll()
    this.root.children = undefined
    this.size = 0
  }

  #imply(parent: Directory, name: string): Directory {
    this.#ledger.made()
    return this.add(parent, name, undefined, 0o755)
  }

  #record(directory: Omit<Directory, 'children' | 'fd'> & { readonly parent: Directory }): Directory {
    const record = { ...directory, children: undefined, fd: -1 }
    directory.parent.children ??= new Map()
    directory.parent.children.set(directory.name, record)
    this.size++
    return record
  }

  #walk(
    components: readonly string[],
    missing: (parent: Directory, name: string, stat: Stat | undefined) => Directory | undefined,
  ): Directory | undefined {
    let directory = this.root
    let links = 0
    let steps = 0
    const todo = components.toReversed()
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (++steps > MAX_STEPS) throw new BadTar('too many components in the path')
      if (name === '' || name === '.') continue
      if (name === '..') {
        directory = directory.parent ?? this.root
        continue
      }
      const known = directory.children?.get(name)
      if (known !== undefined) {
        directory = known
        continue
      }
      const stat = this.#lstat(directory, name)
      const type = stat === undefined ? undefined : stat.mode & S.IFMT
      if (type === S.IFLNK) {
        if (++links > MAX_LINKS) throw new BadTar('too many symbolic links in the path')
        const target = this.#readlink(directory, name)
        if (target.startsWith('/')) directory = this.root
        todo.push(...target.split('/').reverse())
        continue
      }
      const next = stat !== undefined && type === S.IFDIR ? this.adopt(directory, name, stat) : missing(directory, name, stat)
      if (next === undefined) return undefined
      directory = next
    }
    return directory
  }

  #lstat(directory: Directory, name: string): Stat | undefined {
    const stat = lstatat(this.fd(directory), cstrLatin1(name))
    if (stat === -ENOENT) return undefined
    if (typeof stat === 'number') throw new BadTar(`${name.slice(0, 80)} cannot be a directory: ${errnoName(stat)}`)
    return stat
  }

  #readlink(directory: Directory, name: string): string {
    const target = Buffer.allocUnsafe(4096)
    const length = readlinkat(this.fd(directory), cstrLatin1(name), target, target.length)
    if (length === -EINVAL) throw new BadTar(`${name} is not a directory`)
    return target.toString('latin1', 0, check(length, 'readlinkat', name))
  }

  #keep(directory: Directory, fd: number, keep: Directory | undefined): void {
    directory.fd = fd
    this.#open.add(directory)
    if (this.#open.size <= MAX_OPEN) return
    for (const oldest of this.#open) {
      if (oldest === keep) continue
      close(oldest.fd)
      oldest.fd = -1
      this.#open.delete(oldest)
      break
    }
  }

  #closeAll(): void {
    for (const directory of this.#open) close(directory.fd)
    this.#open.clear()
  }
}
