/**
 * A copy on this node, opened for the extractor that reads it. What was staged lies where another extractor, taken over, may put anything
 * in the way; and from a directory that is handed out, `..` leads on to whatever is above it. So it is handed out in a mount of the
 * territory alone, read-only, and looked at before.
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

function openBelow({ staging, layers }: Places, path: string, flags: number): number {
  const all = flags | O.RDONLY | O.NOFOLLOW | O.CLOEXEC
  for (const place of layers === undefined ? [staging] : [layers, staging]) {
    const inside = relative(place, path)
    if (inside === '' || inside.startsWith('..') || isAbsolute(inside)) continue
    using top = openPlace(place)
    return check(openat2(top.fd, cstr(inside), all, 0, RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS), 'openat2', path)
  }
  // The store's own.
  return check(openat(AT.FDCWD, cstr(path), all, 0), 'openat', path)
}

/** A mount of its own, of which nothing is above; where the kernel refuses one, the directory as it is: the log has said so. */
function openPlace(path: string): Descriptor {
  const tree = cloneTree(path)
  if (tree >= 0 && setMountAttributes(tree, { set: RDONLY | NOSUID | NODEV }) >= 0) return new Descriptor(tree)
  if (tree >= 0) close(tree)
  return new Descriptor(check(openat(AT.FDCWD, cstr(path), O.PATH | O.DIRECTORY | O.CLOEXEC, 0), 'openat', path))
}
