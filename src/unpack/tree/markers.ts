/**
 * The names by which a layer hides what lies below it (image-spec layer.md, "Whiteouts"). They hide only what lies in lower layers: this
 * layer's own entries stay, whatever the order. Where a directory is opaque, nothing is left for a whiteout to hide, and its device would
 * show as a name without a file: there it is left out, whichever of the two came first.
 */
import { opendirSync } from 'node:fs'
import { cstrLatin1, EEXIST, lstatat, mknodat, S, unlinkat } from '../../sys/libc.ts'
import type { Budget } from '../budget.ts'
import { BadTar } from '../tar/entry.ts'
import type { Warn } from './attributes.ts'
import { type Directories, isWhiteout } from './directories.ts'
import { type Directory, isHidden, pathOf } from './directory.ts'
import { ok } from './refusal.ts'
import { setOpaque } from './settled.ts'

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
const AUFS = '.wh..wh.'

export class Markers {
  readonly #directories: Directories
  readonly #budget: Budget
  readonly #warn: Warn
  /** Paths of directories with whiteouts in them, which may turn out to be hidden altogether. */
  readonly #withWhiteouts = new Set<string>()
  #last: Directory | undefined
  whiteouts = 0

  constructor(directories: Directories, budget: Budget, warn: Warn) {
    this.#directories = directories
    this.#budget = budget
    this.#warn = warn
  }

  /** Does what a marker says; false if this is none, but a name of the layer's own. */
  take(components: readonly string[], name: string): boolean {
    // Below aufs's own directories lies metadata too. (A directory named like a whiteout is just a directory.)
    const isAufs = (each: string): boolean => each.startsWith(AUFS)
    if (components.some(isAufs) || (isAufs(name) && name !== OPAQUE)) {
      this.#warn('files of aufs (.wh..wh.*) were left out')
      return true
    }
    if (!name.startsWith(WHITEOUT)) return false
    if (name === OPAQUE) this.#opaque(components)
    else this.#whiteout(components, name)
    return true
  }

  /** A whiteout was, or will be, made in this directory. */
  noteWhiteout(parent: Directory): void {
    if (parent === this.#last) return
    this.#last = parent
    const path = pathOf(parent)
    if (this.#withWhiteouts.has(path)) return
    this.#budget.path(path.length)
    this.#withWhiteouts.add(path)
  }

  /**
   * Once the layer is complete: takes whiteouts out of directories in which they hide nothing, and marks the root if it is opaque.
   * `between` is called while no directory is in use.
   */
  sweep(between: () => void): void {
    const { root } = this.#directories
    if (root.opaque) setOpaque(this.#directories.fd(root), '.')
    if (!this.#directories.hasOpaque) return
    for (const path of this.#withWhiteouts) {
      between()
      const directory = this.#at(path)
      if (directory !== undefined && isHidden(directory)) removeWhiteouts(this.#directories.fd(directory))
    }
  }

  #opaque(components: readonly string[]): void {
    const directory = this.#directories.make(components, true)
    if (directory !== undefined) this.#directories.hide(directory)
  }

  #whiteout(components: readonly string[], name: string): void {
    const hidden = name.slice(WHITEOUT.length)
    if (hidden === '' || hidden === '.' || hidden === '..') throw new BadTar('the whiteout names no file', name)
    const parent = this.#directories.make(components, false)
    if (parent === undefined)
      throw new BadTar('a whiteout below a name that this layer has whited out', [...components, name].join('/'))
    this.whiteouts++
    if (isHidden(parent)) {
      this.#hide(parent, hidden)
      return
    }
    const result = mknodat(this.#directories.fd(parent), cstrLatin1(hidden), S.IFCHR, 0)
    if (result === -EEXIST) this.#hide(parent, hidden)
    else {
      ok(result, 'mknodat', { name })
      this.noteWhiteout(parent)
    }
  }

  /** A directory of this layer's own stays, with nothing of lower layers in it. */
  #hide(parent: Directory, name: string): void {
    const own = this.#directories.child(parent, name)
    if (own !== undefined) this.#directories.hide(own)
  }

  /** The directory of this path as it was made: no symlink is followed. */
  #at(path: string): Directory | undefined {
    let directory: Directory | undefined = this.#directories.root
    for (const name of path === '' ? [] : path.split('/')) {
      directory = this.#directories.child(directory, name)
      if (directory === undefined) return undefined
    }
    return directory
  }
}

function removeWhiteouts(fd: number): void {
  // What is read in batches is removed between them; a second look finds what moved meanwhile.
  for (let found = true; found; ) {
    found = false
    using entries = opendirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' })
    for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
      if (!entry.isCharacterDevice()) continue
      const name = cstrLatin1(entry.name)
      const stat = lstatat(fd, name)
      if (typeof stat === 'number' || !isWhiteout(stat)) continue
      ok(unlinkat(fd, name, 0), 'unlinkat', { name: entry.name })
      found = true
    }
  }
}
