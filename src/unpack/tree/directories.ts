/**
 * The directories of one layer while it is unpacked: which exist, what attributes they will get, and open descriptors for the ones in use.
 *
 * The staging directory is ours alone, so what is recorded here is what is on disk. Paths are walked one component at a time with
 * O_NOFOLLOW below a directory descriptor; symlinks the layer brought are followed by hand, inside the root. A path of the layer is
 * never given to the kernel as a whole.
 */

import {
  AT,
  check,
  close,
  cstrLatin1,
  EEXIST,
  EINVAL,
  ENOENT,
  lstatat,
  mkdirat,
  O,
  openat,
  readlinkat,
  S,
  type Stat,
  unlinkat,
} from '../../sys/libc.ts'
import { BadTar, type TarTime, type Xattr } from '../tar/entry.ts'

/** What a directory's own entry in the tar says; absent for one that was only implied by what lies in it. */
export type DirectoryAttributes = {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: TarTime
  readonly xattrs: readonly Xattr[]
}

export type Directory = {
  readonly name: string
  readonly parent: Directory | undefined
  children: Map<string, Directory> | undefined
  /** An O_PATH descriptor, or −1 while there is none. */
  fd: number
  attributes: DirectoryAttributes | undefined
  /** Hides everything of that name in lower layers. */
  opaque: boolean
  /**
   * The group an implied directory gets from the setgid directory it lies in. Its mode is 0755 all the same, and nothing below it
   * inherits: containerd makes it, then sets its mode.
   */
  readonly inheritedGroup: number | undefined
}

const SETGID = 0o2000

/** How many descriptors one worker keeps; tars list a directory's files together, so few are enough. */
const MAX_OPEN = 128
/** As many links as containerd follows in one path. */
const MAX_LINKS = 255
const DIRECTORY = O.PATH | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC

export const isWhiteout = (stat: Stat): boolean =>
  (stat.mode & S.IFMT) === S.IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0

export class Directories implements Disposable {
  readonly root: Directory
  /** Directories with an open descriptor, oldest first. */
  readonly #open = new Set<Directory>()

  /** `path` is the layer's root, an empty directory. */
  constructor(path: string) {
    const fd = check(openat(AT.FDCWD, Buffer.from(`${path}\0`), DIRECTORY, 0), 'open', path)
    this.root = {
      name: '',
      parent: undefined,
      children: undefined,
      fd,
      attributes: undefined,
      opaque: false,
      inheritedGroup: undefined,
    }
  }

  [Symbol.dispose](): void {
    for (const directory of this.#open) close(directory.fd)
    this.#open.clear()
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
      if (stat === undefined) return this.add(parent, name, undefined, 0o755)
      if (!isWhiteout(stat)) throw new BadTar(`${name} is not a directory`)
      if (!overWhiteouts) return undefined
      check(unlinkat(this.fd(parent), cstrLatin1(name), 0), 'unlinkat', name)
      const directory = this.add(parent, name, undefined, 0o755)
      directory.opaque = true
      return directory
    })
  }

  /** As `make`, but finds only what is there. */
  find(components: readonly string[]): Directory | undefined {
    return this.#walk(components, () => undefined)
  }

  /** Makes a directory. Throws BadTar where the name is taken. */
  add(parent: Directory, name: string, attributes: DirectoryAttributes | undefined, mode: number): Directory {
    const result = mkdirat(this.fd(parent), cstrLatin1(name), mode)
    if (result === -EEXIST) throw new BadTar(`${name} is not a directory`)
    check(result, 'mkdirat', name)
    const directory: Directory = {
      name,
      parent,
      children: undefined,
      fd: -1,
      attributes,
      opaque: false,
      inheritedGroup: groupFor(parent),
    }
    parent.children ??= new Map()
    parent.children.set(name, directory)
    return directory
  }

  /** Drops a directory and all below it from the record; the caller removes them from disk. */
  forget(directory: Directory): void {
    for (const each of subtree(directory)) {
      if (each.fd < 0) continue
      close(each.fd)
      each.fd = -1
      this.#open.delete(each)
    }
    directory.parent?.children?.delete(directory.name)
  }

  /** All directories but the root, parents first. */
  *all(): Generator<Directory> {
    for (const directory of subtree(this.root)) if (directory !== this.root) yield directory
  }

  #walk(
    components: readonly string[],
    missing: (parent: Directory, name: string, stat: Stat | undefined) => Directory | undefined,
  ): Directory | undefined {
    let directory = this.root
    let links = 0
    const todo = components.toReversed()
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
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
      if (stat !== undefined && (stat.mode & S.IFMT) === S.IFLNK) {
        if (++links > MAX_LINKS) throw new BadTar('too many symbolic links in the path')
        const target = this.#readlink(directory, name)
        if (target.startsWith('/')) directory = this.root
        todo.push(...target.split('/').reverse())
        continue
      }
      const made = missing(directory, name, stat)
      if (made === undefined) return undefined
      directory = made
    }
    return directory
  }

  #lstat(directory: Directory, name: string): Stat | undefined {
    const stat = lstatat(this.fd(directory), cstrLatin1(name))
    if (stat === -ENOENT) return undefined
    if (typeof stat === 'number') throw new BadTar(`${name} cannot be a directory`)
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
}

/** Directories get their attributes only at the end, so what the kernel would have handed down is worked out here. */
const groupFor = ({ attributes }: Directory): number | undefined =>
  attributes !== undefined && (attributes.mode & SETGID) !== 0 ? attributes.gid : undefined

/** A directory and all below it, parents first, without recursion: layers may be thousands deep. */
function* subtree(top: Directory): Generator<Directory> {
  const todo = [top]
  for (let directory = todo.pop(); directory !== undefined; directory = todo.pop()) {
    yield directory
    if (directory.children !== undefined) todo.push(...directory.children.values())
  }
}

/** A directory's path below the root, in latin1. */
export function pathOf(directory: Directory): string {
  const names: string[] = []
  for (let up: Directory | undefined = directory; up?.parent !== undefined; up = up.parent) names.push(up.name)
  return names.reverse().join('/')
}
