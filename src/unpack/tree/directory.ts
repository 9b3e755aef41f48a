/** One directory of a layer as it is recorded, and where it lies. Names and paths are bytes, in latin1. */
import type { TarTime, Xattr } from '../tar/entry.ts'

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
  /** Bytes of its path below the root. */
  readonly pathLength: number
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
  /** Its record was forgotten, and made again from what is on disk. */
  readonly isReadBack: boolean
}

const SETGID = 0o2000

/** A path's components with `.`, `..` and doubled slashes worked out; `..` stops at the root. */
export function clean(path: string): string[] {
  const components: string[] = []
  for (const component of path.split('/')) {
    if (component === '..') components.pop()
    else if (component !== '' && component !== '.') components.push(component)
  }
  return components
}

/** A directory's path below the root. */
export function pathOf(directory: Directory): string {
  const names: string[] = []
  for (let up: Directory | undefined = directory; up?.parent !== undefined; up = up.parent) names.push(up.name)
  return names.reverse().join('/')
}

/** A directory and all below it, parents first, without recursion: layers may be thousands deep. */
export function* subtree(top: Directory): Generator<Directory> {
  const todo = [top]
  for (let directory = todo.pop(); directory !== undefined; directory = todo.pop()) {
    yield directory
    // One by one: a million arguments do not fit the stack.
    if (directory.children !== undefined) for (const child of directory.children.values()) todo.push(child)
  }
}

/** True where `directory` is `top`, or lies below it. */
export function isWithin(directory: Directory, top: Directory): boolean {
  for (let up: Directory | undefined = directory; up !== undefined; up = up.parent) if (up === top) return true
  return false
}

/** True where nothing of lower layers shows inside this directory. */
export function isHidden(directory: Directory): boolean {
  for (let up: Directory | undefined = directory; up !== undefined; up = up.parent) if (up.opaque) return true
  return false
}

/** Directories get their attributes only at the end, so what the kernel would have handed down is worked out here. */
export const groupFor = ({ attributes }: Directory): number | undefined =>
  attributes !== undefined && (attributes.mode & SETGID) !== 0 ? attributes.gid : undefined
