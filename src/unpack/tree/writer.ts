/**
 * Puts tar members on disk in overlay form: `.wh.name` becomes a character device 0:0, `.wh..wh..opq` an opaque directory
 * (kernel's overlayfs.rst; image-spec layer.md, "Whiteouts"). The result is what containerd unpacks, but for the rules of
 * docs/extraction.md.
 */

import { lchmodat } from '../../sys/chmod.ts'
import {
  AT,
  close,
  cstrLatin1,
  deviceNumber,
  EEXIST,
  EISDIR,
  fchmod,
  fchown,
  fchownat,
  futimens,
  linkat,
  lstatat,
  mknodat,
  O,
  openat,
  S,
  symlinkat,
  unlinkat,
  utimensat,
} from '../../sys/libc.ts'
import { removeTree } from '../../sys/tree.ts'
import type { Budget } from '../budget.ts'
import { BadTar, type TarEntry } from '../tar/entry.ts'
import type { TarReader } from '../tar/reader.ts'
import { checkOwner, mergeXattrs, setXattrs, setXattrsAt, timesOf, type Warn } from './attributes.ts'
import { type WriteContent, writeContent } from './content.ts'
import { Directories, isWhiteout } from './directories.ts'
import { clean, type Directory, isWithin, pathOf } from './directory.ts'
import { Markers } from './markers.ts'
import { ok } from './refusal.ts'
import { settle } from './settled.ts'

const NEW_FILE = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW | O.CLOEXEC
const SPECIAL_BITS = 0o7000
/** Records of directories kept in memory; what a layer has beyond is read back from disk when it is needed again. */
const MAX_RECORDS = 2 ** 14

export class TreeWriter implements Disposable {
  readonly #directories: Directories
  readonly #markers: Markers
  readonly #budget: Budget
  readonly #warn: Warn
  /** Paths of directories without an entry of their own, as far as their records were forgotten. */
  readonly #implied = new Set<string>()
  readonly #writeContent: WriteContent
  #hasReplaced = false

  /** `path` is an empty directory. The calling thread's umask must be 0: modes are given at creation. */
  constructor(path: string, budget: Budget, warn: Warn, content: WriteContent = writeContent) {
    this.#budget = budget
    this.#warn = warn
    this.#writeContent = content
    this.#directories = new Directories(path, {
      made: () => budget.entry(),
      wasImplied: (directory) => this.#implied.size > 0 && this.#implied.has(pathOf(directory)),
    })
    this.#markers = new Markers(this.#directories, budget, warn)
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]()
  }

  /** Whiteouts the layer has. */
  get whiteouts(): number {
    return this.#markers.whiteouts
  }

  /** True once an entry took the place of an earlier one: the tree no longer has all that the tar has. */
  get hasReplaced(): boolean {
    return this.#hasReplaced
  }

  /** Writes one member; a file's content comes from `reader`. Gives the content's CRC-64, undefined where there is none in the tree. */
  add(entry: TarEntry, reader: TarReader): string | undefined {
    this.#settleIfMany()
    const components = clean(entry.name)
    const name = components.pop()
    // The root's own entry is ignored: its attributes are the store's (containerd does the same).
    const isWritten = name !== undefined && !this.#markers.take(components, name)
    const parent = isWritten ? this.#directories.make(components, true) : undefined
    if (name === undefined || parent === undefined) {
      if (entry.size > 0) reader.skipBody(entry)
      return undefined
    }
    checkOwner(entry)
    switch (entry.type) {
      case 'file':
        return this.#file(parent, name, entry, reader)
      case 'directory':
        this.#directory(parent, name, entry)
        return undefined
      case 'symlink':
        this.#symlink(parent, name, entry)
        return undefined
      case 'hardlink':
        this.#hardlink(parent, name, entry)
        return undefined
      case 'character':
      case 'block':
      case 'fifo':
        this.#node(parent, name, entry)
        return undefined
    }
  }

  /**
   * Gives directories their attributes, after everything is in them; making an entry changes the time of its directory.
   * Returns the paths, in latin1 and parents first, of directories that had no entry of their own.
   */
  finish(): readonly string[] {
    this.#markers.sweep(() => this.#settleIfMany())
    this.#settle()
    return [...this.#implied]
  }

  #settleIfMany(): void {
    if (this.#directories.size > MAX_RECORDS) this.#settle()
  }

  #settle(): void {
    this.#directories.settle((directory, parent) => {
      settle(this.#directories.fd(parent), directory, this.#warn)
      if (directory.attributes !== undefined) {
        if (this.#implied.size > 0) this.#implied.delete(pathOf(directory))
        return
      }
      const path = pathOf(directory)
      if (this.#implied.has(path)) return
      this.#budget.path(path.length)
      this.#implied.add(path)
    })
  }

  #file(parent: Directory, name: string, entry: TarEntry, reader: TarReader): string | undefined {
    if (entry.sparse !== undefined) this.#budget.holes(entry.sparse.size - entry.size)
    const directory = this.#directories.fd(parent)
    const cname = cstrLatin1(name)
    const fd = ok(
      this.#replacing(parent, name, () => openat(directory, cname, NEW_FILE, entry.mode & 0o777)),
      'openat',
      entry,
    )
    try {
      const crc = this.#writeContent(fd, entry, reader)
      if (entry.uid !== 0 || entry.gid !== 0) ok(fchown(fd, entry.uid, entry.gid), 'fchown', entry)
      if (entry.xattrs.length > 0) setXattrs(fd, entry, this.#warn)
      // After the owner, which clears setuid and setgid.
      if ((entry.mode & SPECIAL_BITS) !== 0) ok(fchmod(fd, entry.mode), 'fchmod', entry)
      ok(futimens(fd, timesOf(entry.mtime)), 'futimens', entry)
      return crc
    } finally {
      close(fd)
    }
  }

  #directory(parent: Directory, name: string, entry: TarEntry): void {
    const { mode, uid, gid, mtime, xattrs } = entry
    const attributes = { mode, uid, gid, mtime, xattrs }
    const known = parent.children?.get(name)
    const stat = known === undefined ? lstatat(this.#directories.fd(parent), cstrLatin1(name)) : 0
    const isThere = typeof stat !== 'number' && (stat.mode & S.IFMT) === S.IFDIR
    const existing = isThere ? this.#directories.adopt(parent, name, stat) : known
    if (existing !== undefined) {
      existing.attributes = { ...attributes, xattrs: mergeXattrs(existing.attributes?.xattrs ?? [], xattrs) }
      return
    }
    if (typeof stat !== 'number') this.#remove(parent, name)
    const made = this.#directories.add(parent, name, attributes, 0o700)
    // A whiteout and then a directory of the same name: what lower layers have below it must not show through.
    if (typeof stat !== 'number' && isWhiteout(stat)) this.#directories.hide(made)
  }

  #symlink(parent: Directory, name: string, entry: TarEntry): void {
    const directory = this.#directories.fd(parent)
    const cname = cstrLatin1(name)
    const target = cstrLatin1(entry.linkName)
    ok(
      this.#replacing(parent, name, () => symlinkat(target, directory, cname)),
      'symlinkat',
      entry,
    )
    this.#setLinkAttributes(directory, name, entry)
  }

  #hardlink(parent: Directory, name: string, entry: TarEntry): void {
    const components = clean(entry.linkName)
    const targetName = components.pop()
    const targetParent = this.#directories.find(components)
    if (targetName === undefined || targetParent === undefined)
      throw new BadTar('the link target is not in this layer', entry.name)
    if (targetParent === parent && targetName === name) throw new BadTar('the entry is a link to itself', entry.name)
    // What has the name is removed first, and its descriptors with it: the target must not lie in there.
    const replaced = parent.children?.get(name)
    if (replaced !== undefined && isWithin(targetParent, replaced))
      throw new BadTar('the link target lies in the directory that the link replaces', entry.name)
    const from = this.#directories.fd(targetParent)
    const to = this.#directories.fd(parent, targetParent)
    const result = this.#replacing(parent, name, () => linkat(from, cstrLatin1(targetName), to, cstrLatin1(name), 0))
    ok(result, 'linkat', entry)
    // A link's own header speaks for the inode, as in containerd; a symlink has no mode.
    this.#setLinkAttributes(to, name, entry)
    const stat = lstatat(to, cstrLatin1(name))
    if (typeof stat !== 'number' && (stat.mode & S.IFMT) !== S.IFLNK) {
      ok(lchmodat(to, cstrLatin1(name), entry.mode), 'fchmodat2', entry)
      ok(utimensat(to, cstrLatin1(name), timesOf(entry.mtime), AT.SYMLINK_NOFOLLOW), 'utimensat', entry)
    }
  }

  #node(parent: Directory, name: string, entry: TarEntry): void {
    const device = entry.type === 'fifo' ? 0 : deviceNumber(entry.deviceMajor, entry.deviceMinor)
    if (device === undefined)
      throw new BadTar(`the device number ${entry.deviceMajor}:${entry.deviceMinor} is out of range`, entry.name)
    if (entry.type === 'character' && device === 0) {
      this.#warn('a character device 0:0 hides a lower file, as a whiteout does')
      this.#markers.noteWhiteout(parent)
    }
    const directory = this.#directories.fd(parent)
    const cname = cstrLatin1(name)
    const type = { character: S.IFCHR, block: S.IFBLK, fifo: S.IFIFO }[entry.type as 'character' | 'block' | 'fifo']
    ok(
      this.#replacing(parent, name, () => mknodat(directory, cname, type | entry.mode, device)),
      'mknodat',
      entry,
    )
    this.#setLinkAttributes(directory, name, entry)
    ok(lchmodat(directory, cname, entry.mode), 'fchmodat2', entry)
  }

  /** Runs `create`; where the name is taken, removes what has it and runs it again: the last entry of a name wins. */
  #replacing(parent: Directory, name: string, create: () => number): number {
    const result = create()
    if (result !== -EEXIST) return result
    this.#remove(parent, name)
    return create()
  }

  #remove(parent: Directory, name: string): void {
    this.#hasReplaced = true
    const fd = this.#directories.fd(parent)
    const cname = cstrLatin1(name)
    const known = parent.children?.get(name)
    if (known !== undefined) this.#directories.forget(known)
    else {
      const result = unlinkat(fd, cname, 0)
      if (result !== -EISDIR) {
        ok(result, 'unlinkat', { name })
        return
      }
    }
    removeTree(fd, cname)
  }

  #setLinkAttributes(directory: number, name: string, entry: TarEntry): void {
    const cname = cstrLatin1(name)
    const isNew = entry.type !== 'hardlink'
    if (!isNew || entry.uid !== 0 || entry.gid !== 0) {
      ok(fchownat(directory, cname, entry.uid, entry.gid, AT.SYMLINK_NOFOLLOW), 'fchownat', entry)
    }
    setXattrsAt(directory, name, entry.xattrs, entry.name, this.#warn)
    ok(utimensat(directory, cname, timesOf(entry.mtime), AT.SYMLINK_NOFOLLOW), 'utimensat', entry)
  }
}
