/**
 * A root of its own for one thread and what it starts: a mount namespace in which nothing has a name but what it may use. Landlock bounds
 * what may be opened, made and removed; chmod, chown, utimes and xattrs it lets pass everywhere (kernel's landlock.rst, "Current
 * limitations"). What has no name here cannot be changed by them, and what has one is mounted read-only, but for what may be written.
 *
 * Each part is held by a mount of its own, not by a copy of the machine's tree: a device that is unmounted elsewhere must not stay busy.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { AT, cstr, O, openat, unshare } from './libc.ts'
import {
  cloneTree,
  FSCONFIG,
  fchdir,
  fsconfig,
  fsmount,
  fsopen,
  MNT_DETACH,
  MOUNT_ATTR,
  moveMount,
  PROPAGATION,
  pivotRoot,
  setMountAttributes,
  umount,
} from './mount-api.ts'
import type { Territory } from './territory.ts'
import { Descriptor } from './tree.ts'

const CLONE_NEWNS = 0x20000
const { RDONLY, NOSUID, NODEV, NOEXEC } = MOUNT_ATTR
const SEALED = RDONLY | NOSUID | NODEV | NOEXEC

/** One path of the new root, and how it is mounted. */
type Part = { readonly path: string; readonly isDirectory: boolean; readonly attributes: number; readonly recursive: boolean }

/** Moves the calling thread into a root that holds `territory` and /proc, at their own paths. 0, or −errno: then it stays where it was. */
export function enterOwnRoot(territory: Territory): number {
  const unshared = unshare(CLONE_NEWNS)
  if (unshared < 0) return unshared
  try {
    // What is unmounted elsewhere is unmounted here until we have left it, and what we mount is nobody else's.
    needed(setMountAttributes('/', { propagation: PROPAGATION.SLAVE, recursive: true }))
    build(territory)
    return 0
  } catch (error) {
    if (error instanceof Refused) return error.result
    // Of node:fs.
    if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') return error.errno
    throw error
  }
}

class Refused extends Error {
  readonly result: number

  constructor(result: number) {
    super('refused')
    this.result = result
  }
}

function needed(result: number): number {
  if (result < 0) throw new Refused(result)
  return result
}

function build(territory: Territory): void {
  using stack = new DisposableStack()
  const hold = (fd: number): number => stack.use(new Descriptor(needed(fd))).fd
  const old = hold(openat(AT.FDCWD, cstr('/'), O.PATH | O.DIRECTORY | O.CLOEXEC, 0))
  const trees = partsOf(territory).map((part) => {
    const tree = hold(cloneTree(part.path, part.recursive))
    const { attributes: set, recursive } = part
    needed(setMountAttributes(tree, { set, propagation: PROPAGATION.PRIVATE, recursive }))
    return { ...part, tree }
  })
  const context = hold(fsopen('tmpfs'))
  needed(fsconfig(context, FSCONFIG.SET_STRING, cstr('mode'), cstr('755')))
  needed(fsconfig(context, FSCONFIG.CMD_CREATE, null, null))
  const root = hold(fsmount(context, NOSUID | NODEV | NOEXEC))
  // Anywhere will do, for the moment, but /proc, by which places are made; the territory is there.
  const [place = '/dev'] = territory.writable
  needed(moveMount(root, AT.FDCWD, place))
  try {
    for (const { path, isDirectory, tree } of trees) {
      makePlace(`/proc/self/fd/${root}${path}`, isDirectory)
      needed(moveMount(tree, root, path.slice(1)))
    }
    needed(setMountAttributes(root, { set: SEALED }))
    needed(fchdir(root))
    needed(pivotRoot('.', '.'))
  } catch (error) {
    umount(cstr(place), MNT_DETACH)
    throw error
  }
  // The old root lies on top of the new one now.
  needed(fchdir(old))
  needed(umount(cstr('.'), MNT_DETACH))
  needed(fchdir(root))
}

/** Outer paths first, so that what lies inside another's is mounted on top of it. What is not there needs no place. */
function partsOf({ writable, readable, executable }: Territory): readonly Part[] {
  const parts: Part[] = [{ path: '/proc', isDirectory: true, attributes: SEALED, recursive: true }]
  const add = (paths: readonly string[], attributes: number, recursive = false): void => {
    for (const path of paths) {
      const stat = statSync(path, { throwIfNoEntry: false })
      if (stat === undefined) continue
      const isDirectory = stat.isDirectory()
      // A device node that a layer brought is never opened. The null device, which is no directory, is meant to be: it takes what is written to
      // it on a mount that is read-only too, and keeps its mode and owner there.
      parts.push({ path, isDirectory, attributes: attributes | (isDirectory ? NODEV : RDONLY), recursive })
    }
  }
  add(readable, RDONLY | NOSUID)
  add(executable, RDONLY | NOSUID)
  // With what is mounted below them: jobs may lie there.
  add(writable, NOSUID | NOEXEC, true)
  return parts.sort((a, b) => a.path.length - b.path.length)
}

function makePlace(path: string, isDirectory: boolean): void {
  mkdirSync(isDirectory ? path : dirname(path), { recursive: true, mode: 0o755 })
  if (!isDirectory && statSync(path, { throwIfNoEntry: false }) === undefined) writeFileSync(path, '')
}
