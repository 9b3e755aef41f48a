/**
 * Puts tar members on disk in overlay form: `.wh.name` becomes a character device 0:0, `.wh..wh..opq` an opaque directory
 * (kernel's overlayfs.rst; image-spec layer.md, "Whiteouts"). The result is what containerd unpacks, but for the rules named here.
 */

import {
  AT,
  close,
  cstr,
  cstrLatin1,
  deviceNumber,
  EEXIST,
  fchmod,
  fchmodat,
  fchown,
  fchownat,
  futimens,
  linkat,
  lsetxattr,
  lstatat,
  mknodat,
  O,
  openat,
  S,
  symlinkat,
  unlinkat,
  utimensat,
  write,
} from '../../sys/libc.ts'
import { removeTree } from '../../sys/tree.ts'
import { Crc64 } from '../tar/crc64.ts'
import { BadTar, type TarEntry } from '../tar/entry.ts'
import type { TarReader } from '../tar/reader.ts'
import { checkOwner, setXattrs, setXattrsAt, timesOf, type Warn } from './attributes.ts'
import { Directories, type Directory, isWhiteout, pathOf } from './directories.ts'
import { ok } from './refusal.ts'

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
const AUFS = '.wh..wh.'
const NEW_FILE = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW | O.CLOEXEC
const SPECIAL_BITS = 0o7000
const OVERLAY_OPAQUE = cstr('trusted.overlay.opaque')

export class TreeWriter implements Disposable {
  readonly #directories: Directories
  readonly #warn: Warn
  whiteouts = 0

  /** `path` is an empty directory. The calling thread's umask must be 0: modes are given at creation. */
  constructor(path: string, warn: Warn) {
    this.#directories = new Directories(path)
    this.#warn = warn
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]()
  }

  /** Writes one member; a file's content comes from `reader`. Gives the content's CRC-64, undefined where there is none. */
  add(entry: TarEntry, reader: TarReader): string | undefined {
    const components = clean(entry.name)
    const name = components.pop()
    const target = name === undefined || isMarker(name) ? undefined : this.#directories.make(components, true)
    if (name !== undefined && isMarker(name)) this.#marker(components, name)
    // The root's own entry is ignored: its attributes are the store's (containerd does the same).
    if (name === undefined || target === undefined) return entry.size > 0 ? this.#skipBody(entry, reader) : undefined
    checkOwner(entry)
    switch (entry.type) {
      case 'file':
        return this.#file(target, name, entry, reader)
      case 'directory':
        this.#directory(target, name, entry)
        return undefined
      case 'symlink':
        this.#symlink(target, name, entry)
        return undefined
      case 'hardlink':
        this.#hardlink(target, name, entry)
        return undefined
      case 'character':
      case 'block':
      case 'fifo':
        this.#node(target, name, entry)
        return undefined
    }
  }

  /**
   * Gives directories their attributes, after everything is in them; making an entry changes the time of its directory.
   * Returns the paths, in latin1 and parents first, of directories that had no entry of their own.
   */
  finish(): readonly string[] {
    const implied: string[] = []
    const { root } = this.#directories
    if (root.opaque) this.#setOpaque(this.#directories.fd(root), '.')
    for (const directory of this.#directories.all()) {
      const parent = this.#directories.fd(directory.parent ?? root)
      if (directory.opaque) this.#setOpaque(parent, directory.name)
      if (directory.attributes !== undefined) this.#setAttributes(parent, directory.name, directory.attributes)
      else {
        implied.push(pathOf(directory))
        if (directory.inheritedGroup !== undefined) {
          const { name, inheritedGroup } = directory
          ok(fchownat(parent, cstrLatin1(name), 0, inheritedGroup, AT.SYMLINK_NOFOLLOW), 'fchownat', { name })
        }
      }
    }
    return implied
  }

  #file(parent: Directory, name: string, entry: TarEntry, reader: TarReader): string | undefined {
    const directory = this.#directories.fd(parent)
    const cname = cstrLatin1(name)
    const fd = ok(
      this.#replacing(parent, name, () => openat(directory, cname, NEW_FILE, entry.mode & 0o777)),
      'openat',
      entry,
    )
    try {
      const crc = entry.size > 0 ? new Crc64() : undefined
      reader.body(entry, (piece) => {
        crc?.update(piece)
        writeAll(fd, piece, entry)
      })
      if (entry.uid !== 0 || entry.gid !== 0) ok(fchown(fd, entry.uid, entry.gid), 'fchown', entry)
      if (entry.xattrs.length > 0) setXattrs(fd, entry, this.#warn)
      // After the owner, which clears setuid and setgid.
      if ((entry.mode & SPECIAL_BITS) !== 0) ok(fchmod(fd, entry.mode), 'fchmod', entry)
      ok(futimens(fd, timesOf(entry.mtime)), 'futimens', entry)
      return crc?.base64()
    } finally {
      close(fd)
    }
  }

  #directory(parent: Directory, name: string, entry: TarEntry): void {
    const { mode, uid, gid, mtime, xattrs } = entry
    const attributes = { mode, uid, gid, mtime, xattrs }
    const known = parent.children?.get(name)
    if (known !== undefined) {
      known.attributes = attributes
      return
    }
    const stat = lstatat(this.#directories.fd(parent), cstrLatin1(name))
    if (typeof stat === 'number') {
      this.#directories.add(parent, name, attributes, 0o700)
      return
    }
    // A whiteout and then a directory of the same name: what lower layers have below it must not show through.
    this.#remove(parent, name)
    this.#directories.add(parent, name, attributes, 0o700).opaque = isWhiteout(stat)
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
    const from = this.#directories.fd(targetParent)
    const to = this.#directories.fd(parent, targetParent)
    const result = this.#replacing(parent, name, () => linkat(from, cstrLatin1(targetName), to, cstrLatin1(name), 0))
    ok(result, 'linkat', entry)
    // A link's own header speaks for the inode, as in containerd; a symlink has no mode.
    this.#setLinkAttributes(to, name, entry)
    const stat = lstatat(to, cstrLatin1(name))
    if (typeof stat !== 'number' && (stat.mode & S.IFMT) !== S.IFLNK) {
      ok(fchmodat(to, cstrLatin1(name), entry.mode, 0), 'fchmodat', entry)
      ok(utimensat(to, cstrLatin1(name), timesOf(entry.mtime), AT.SYMLINK_NOFOLLOW), 'utimensat', entry)
    }
  }

  #node(parent: Directory, name: string, entry: TarEntry): void {
    const directory = this.#directories.fd(parent)
    const cname = cstrLatin1(name)
    const device = entry.type === 'fifo' ? 0 : deviceNumber(entry.deviceMajor, entry.deviceMinor)
    if (device === undefined)
      throw new BadTar(`the device number ${entry.deviceMajor}:${entry.deviceMinor} is out of range`, entry.name)
    if (entry.type === 'character' && device === 0) this.#warn('a character device 0:0 hides a lower file, as a whiteout does')
    const type = { character: S.IFCHR, block: S.IFBLK, fifo: S.IFIFO }[entry.type as 'character' | 'block' | 'fifo']
    ok(
      this.#replacing(parent, name, () => mknodat(directory, cname, type | entry.mode, device)),
      'mknodat',
      entry,
    )
    this.#setLinkAttributes(directory, name, entry)
    ok(fchmodat(directory, cname, entry.mode, 0), 'fchmodat', entry)
  }

  /** Whiteouts and opaque marks hide only what lies in lower layers: this layer's own entries stay, whatever the order. */
  #marker(components: readonly string[], name: string): void {
    if (name === OPAQUE) {
      const directory = this.#directories.make(components, true)
      if (directory !== undefined) directory.opaque = true
      return
    }
    if (name.startsWith(AUFS)) {
      this.#warn(`${JSON.stringify(name.slice(0, 80))} is metadata of aufs and was left out`)
      return
    }
    const hidden = name.slice(WHITEOUT.length)
    if (hidden === '' || hidden === '.' || hidden === '..') throw new BadTar('the whiteout names no file', name)
    const parent = this.#directories.make(components, false)
    // Below a whiteout of this very layer there is nothing left to hide.
    if (parent === undefined) return
    this.whiteouts++
    const result = mknodat(this.#directories.fd(parent), cstrLatin1(hidden), S.IFCHR, 0)
    if (result !== -EEXIST) {
      ok(result, 'mknodat', { name })
      return
    }
    const own = parent.children?.get(hidden)
    if (own !== undefined) own.opaque = true
  }

  #skipBody(entry: TarEntry, reader: TarReader): string {
    const crc = new Crc64()
    reader.body(entry, (piece) => crc.update(piece))
    return crc.base64()
  }

  /** Runs `create`; where the name is taken, removes what has it and runs it again: the last entry of a name wins. */
  #replacing(parent: Directory, name: string, create: () => number): number {
    const result = create()
    if (result !== -EEXIST) return result
    this.#remove(parent, name)
    return create()
  }

  #remove(parent: Directory, name: string): void {
    const fd = this.#directories.fd(parent)
    const known = parent.children?.get(name)
    if (known === undefined) {
      ok(unlinkat(fd, cstrLatin1(name), 0), 'unlinkat', { name })
      return
    }
    this.#directories.forget(known)
    removeTree(fd, cstrLatin1(name))
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

  #setAttributes(parent: number, name: string, attributes: NonNullable<Directory['attributes']>): void {
    const cname = cstrLatin1(name)
    const at = { name }
    if (attributes.uid !== 0 || attributes.gid !== 0) {
      ok(fchownat(parent, cname, attributes.uid, attributes.gid, AT.SYMLINK_NOFOLLOW), 'fchownat', at)
    }
    setXattrsAt(parent, name, attributes.xattrs, name, this.#warn)
    ok(fchmodat(parent, cname, attributes.mode, 0), 'fchmodat', at)
    ok(utimensat(parent, cname, timesOf(attributes.mtime), AT.SYMLINK_NOFOLLOW), 'utimensat', at)
  }

  #setOpaque(parent: number, name: string): void {
    const path = cstr(Buffer.from(`/proc/self/fd/${parent}/${name}`, 'latin1'))
    ok(lsetxattr(path, OVERLAY_OPAQUE, Buffer.from('y'), 1, 0), 'lsetxattr', { name })
  }
}

const isMarker = (name: string): boolean => name.startsWith(WHITEOUT)

/** A path's components with `.`, `..` and doubled slashes worked out; `..` stops at the root. */
function clean(path: string): string[] {
  const components: string[] = []
  for (const component of path.split('/')) {
    if (component === '..') components.pop()
    else if (component !== '' && component !== '.') components.push(component)
  }
  return components
}

function writeAll(fd: number, piece: Buffer, entry: TarEntry): void {
  for (let rest = piece; rest.length > 0; ) {
    const written = ok(write(fd, rest, rest.length), 'write', entry)
    rest = rest.subarray(written)
  }
}
