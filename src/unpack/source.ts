/**
 * A copy on this node, opened for the extractor that reads it. What was staged lies where another extractor, taken over, may put anything
 * in the way; and from a directory that is handed out, `..` leads on to whatever is above it. So it is handed out in a mount of the
 * territory alone, read-only, and looked at before. A tree that lies outside the territory is handed out as a mount that begins with it.
 */
import { isAbsolute, relative } from 'node:path'
import { fail } from '../failure/failure.ts'
import { AT, check, close, cstr, fstat, O, openat, openat2, RESOLVE, S } from '../sys/libc.ts'
import { cloneTree, MOUNT_ATTR, setMountAttributes } from '../sys/mount-api.ts'
import { Descriptor } from '../sys/tree.ts'
import type { UnpackOrder } from './messages.ts'
import type { UnpackJob } from './unpack.ts'

/** With a local copy come its directory and its tar-split file, open. */
export type OpenSource = Disposable & { readonly value: UnpackOrder['source']; readonly fds: readonly number[] }

/** Where copies lie. */
export type Places = { readonly staging: string; readonly layers?: string }

const { RDONLY, NOSUID, NODEV } = MOUNT_ATTR

/** Throws digest-mismatch where there is no such copy. */
export function openSource({ source, diffId }: Pick<UnpackJob, 'source' | 'diffId'>, places: Places): OpenSource {
  if (source.kind === 'blob') return { value: source, fds: [], [Symbol.dispose]: () => {} }
  using opened = new DisposableStack()
  const open = (path: string, flags: number): number => opened.use(new Descriptor(openBelow(places, path, flags))).fd
  try {
    // A fifo would keep the daemon waiting.
    const fds = [open(source.diff, O.DIRECTORY), open(source.tarSplit, O.NONBLOCK)]
    const stat = fstat(fds[1] ?? -1)
    if (typeof stat === 'number' || (stat.mode & S.IFMT) !== S.IFREG) throw new Error('its tar-split is no file')
    const held = opened.move()
    return { value: { kind: 'local', path: source.diff }, fds, [Symbol.dispose]: () => held.dispose() }
  } catch (error) {
    const got = 'nothing: the tree or its tar-split file is missing'
    return fail({ kind: 'digest-mismatch', what: 'diffID', want: diffId, got, from: source.diff }, error)
  }
}

/** Whether an extractor of this territory can read what is at `path`. */
export const isWithin = (places: Places, path: string): boolean => placeOf(places, path) !== undefined

function placeOf({ staging, layers }: Places, path: string): { readonly top: string; readonly inside: string } | undefined {
  for (const top of layers === undefined ? [staging] : [layers, staging]) {
    const inside = relative(top, path)
    if (inside !== '' && !inside.startsWith('..') && !isAbsolute(inside)) return { top, inside }
  }
  return undefined
}

function openBelow(places: Places, path: string, flags: number): number {
  const all = flags | O.RDONLY | O.NOFOLLOW | O.CLOEXEC
  const place = placeOf(places, path)
  const isDirectory = (flags & O.DIRECTORY) !== 0
  // A file of the store's own: nothing is above it.
  if (place === undefined && !isDirectory) return check(openat(AT.FDCWD, cstr(path), all, 0), 'openat', path)
  using top = openPlace(place?.top ?? path)
  const inside = cstr(place?.inside ?? '.')
  return check(openat2(top.fd, inside, all, 0, RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS), 'openat2', path)
}

/** A mount of its own, of which nothing is above; where the kernel refuses one, the directory as it is: the log has said so. */
function openPlace(path: string): Descriptor {
  const tree = cloneTree(path)
  if (tree >= 0 && setMountAttributes(tree, { set: RDONLY | NOSUID | NODEV }) >= 0) return new Descriptor(tree)
  if (tree >= 0) close(tree)
  return new Descriptor(check(openat(AT.FDCWD, cstr(path), O.PATH | O.DIRECTORY | O.CLOEXEC, 0), 'openat', path))
}
