/**
 * Overlay mounts of any number of layers, and their end.
 *
 * mount(2) takes one page of options, which absolute paths of some forty layers already fill. So lower directories are named relative to
 * a base directory that is the working directory for the moment of the call, and where the kernel knows `lowerdir+` (6.8), each is a
 * parameter of its own and their number is no longer bound. Calls are synchronous: nothing sees the working directory change.
 */
import { mkdirSync, mkdtempSync, readFileSync, readSync, realpathSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fail } from '../failure/failure.ts'
import { AT, check, close, cstr, EINVAL, ENOSYS, EPERM, errnoName, O, openat, wrap } from './libc.ts'
import { FSCONFIG, fchdir, fsconfig, fsmount, fsopen, MNT_DETACH, MOUNT_ATTR, moveMount, umount } from './mount-api.ts'

/** What `mount` shows as the source of our mounts, and what makes them ours to unmount. */
const MOUNT_SOURCE = 'windlass'

export type OverlayMount = {
  /** An existing directory. */
  readonly target: string
  /** The directory `lower` is relative to. */
  readonly base: string
  /** Lower directories, topmost first. */
  readonly lower: readonly string[]
  /** Where writes go; without it the mount is read-only, and neither devices nor setuid work in it. */
  readonly writable?: { readonly upper: string; readonly work: string }
}

const MS = { RDONLY: 1, NOSUID: 2, NODEV: 4 } as const
const UMOUNT_NOFOLLOW = 8
/** fsconfig(2) refuses longer strings. */
const MAX_PARAMETER = 255
const PAGE = 4096

const mountCall = wrap<[source: Buffer, target: Buffer, type: Buffer, flags: number, data: Buffer]>('mount', 'int', [
  'void *',
  'void *',
  'void *',
  'ulong',
  'void *',
])

/** Mounts. Throws system (EPERM without CAP_SYS_ADMIN), invalid-argument. Nothing is mounted after a throw. */
export function mountOverlay(mount: OverlayMount): void {
  if (!mountByContext(mount)) mountByOptions(mount)
}

/** The mount API of Linux 5.2 with `lowerdir+` of 6.8. False, and nothing done, where this kernel has not got it. */
export function mountByContext(mount: OverlayMount): boolean {
  const context = fsopen('overlay')
  // A seccomp filter that does not know the call answers EPERM; if it is a lack of rights, mount(2) will say so.
  if (context === -ENOSYS || context === -EPERM) return false
  using fd = owned(check(context, 'fsopen overlay'))
  using stack = prepare(mount)
  for (const [index, lower] of stack.lower.entries()) {
    const result = set(fd.number, 'lowerdir+', lower)
    if (result === -EINVAL && index === 0) return false
    explain(fd.number, result, `overlay layer ${lower}`, mount.target)
  }
  for (const [key, value] of stack.options)
    explain(fd.number, set(fd.number, key, value), `overlay ${key}=${value}`, mount.target)
  if (mount.writable === undefined) set(fd.number, 'ro', undefined)
  set(fd.number, 'source', MOUNT_SOURCE)
  const created = fsconfig(fd.number, FSCONFIG.CMD_CREATE, null, null)
  explain(fd.number, created, 'mount overlay', mount.target)
  const attributes = mount.writable === undefined ? MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV : 0
  using tree = owned(check(fsmount(fd.number, attributes), 'fsmount', mount.target))
  const moved = moveMount(tree.number, AT.FDCWD, stack.target)
  check(moved, 'move_mount', mount.target)
  return true
}

/** mount(2), for older kernels: all names in one page. */
export function mountByOptions(mount: OverlayMount): void {
  using stack = prepare(mount)
  const options = [`lowerdir=${stack.lower.join(':')}`, ...stack.options.map(([key, value]) => `${key}=${value}`)].join(',')
  if (Buffer.byteLength(options) >= PAGE) {
    const reason = `${mount.lower.length} layers do not fit a page of mount options; Linux 6.8 or newer has no such bound`
    fail({ kind: 'invalid-argument', what: 'number of layers', reason })
  }
  const flags = mount.writable === undefined ? MS.RDONLY | MS.NOSUID | MS.NODEV : 0
  const result = mountCall(cstr(MOUNT_SOURCE), cstr(stack.target), cstr('overlay'), flags, cstr(options))
  check(result, 'mount overlay', mount.target)
}

type Stack = Disposable & {
  readonly target: string
  readonly lower: readonly string[]
  readonly options: readonly (readonly [key: string, value: string])[]
}

/** Stands in the base directory, with everything named so that no length and no character of a path matters, until disposed. */
function prepare(mount: OverlayMount): Stack {
  using undo = new DisposableStack()
  const target = realpathSync(mount.target)
  const lower = [...mount.lower]
  // Without an upper, overlay wants two lower directories; empty ones at the bottom change nothing.
  const missing = (mount.writable === undefined ? 2 : 1) - lower.length
  if (missing > 0) lower.push(...undo.use(emptyDirectories(missing)).paths)
  const options: (readonly [string, string])[] = []
  for (const [key, path] of mount.writable === undefined
    ? []
    : ([
        ['upperdir', mount.writable.upper],
        ['workdir', mount.writable.work],
      ] as const)) {
    options.push([key, plainName(path, undo)])
  }
  // Layers hold no such xattrs; were one smuggled in, it must not lead anywhere.
  options.push(['redirect_dir', 'nofollow'], ['metacopy', 'off'])
  const back = undo.use(openDirectory('.'))
  const base = undo.use(openDirectory(mount.base))
  check(fchdir(base.number), 'chdir', mount.base)
  undo.defer(() => check(fchdir(back.number), 'chdir back'))
  const owner = undo.move()
  return { target, lower, options, [Symbol.dispose]: () => owner.dispose() }
}

/**
 * Empty directories to mount over, in a tmpfs that is out of sight as soon as they have been used: an overlay holds its layers' file
 * systems. (Merely removed directories will not do: overlay lists nothing at all above a dead one.)
 */
function emptyDirectories(count: number): Disposable & { readonly paths: readonly string[] } {
  using undo = new DisposableStack()
  const at = mkdtempSync(join(tmpdir(), 'windlass-empty-'))
  undo.defer(() => rmdirSync(at))
  check(
    mountCall(cstr(MOUNT_SOURCE), cstr(at), cstr('tmpfs'), MS.NOSUID | MS.NODEV, cstr('size=64k,mode=755')),
    'mount tmpfs',
    at,
  )
  undo.defer(() => check(umount(cstr(at), MNT_DETACH), 'unmount', at))
  const paths = Array.from({ length: count }, (_, index) => join(at, String(index)))
  for (const path of paths) mkdirSync(path, { mode: 0o755 })
  const owner = undo.move()
  return { paths, [Symbol.dispose]: () => owner.dispose() }
}

/** `path` itself where it needs no escaping and fits, else a name for it that does. */
function plainName(path: string, undo: DisposableStack): string {
  const absolute = realpathSync(path)
  if (/^[\w./@+-]+$/.test(absolute) && absolute.length <= MAX_PARAMETER) return absolute
  return `/proc/self/fd/${undo.use(openDirectory(absolute)).number}`
}

type OwnedFd = Disposable & { readonly number: number }
const owned = (number: number): OwnedFd => ({ number, [Symbol.dispose]: () => void close(number) })
const openDirectory = (path: string): OwnedFd =>
  owned(check(openat(AT.FDCWD, cstr(path), O.PATH | O.DIRECTORY | O.CLOEXEC, 0), 'open', path))

function set(context: number, key: string, value: string | undefined): number {
  const command = value === undefined ? FSCONFIG.SET_FLAG : FSCONFIG.SET_STRING
  return fsconfig(context, command, cstr(key), value === undefined ? null : cstr(value))
}

/** `check`, with what the kernel says about it: a context keeps the messages that would otherwise be in dmesg alone. */
function explain(context: number, result: number, operation: string, target: string): void {
  if (result >= 0) return
  const said: string[] = []
  const buffer = Buffer.alloc(1024)
  for (
    let message = readMessage(context, buffer);
    message !== undefined && said.length < 8;
    message = readMessage(context, buffer)
  ) {
    said.push(message)
  }
  fail({ kind: 'system', operation: [operation, ...said].join('; '), path: target, code: errnoName(result) })
}

function readMessage(context: number, buffer: Buffer): string | undefined {
  try {
    return buffer.toString('utf8', 2, readSync(context, buffer)).trim()
  } catch {
    // ENODATA: that was all. The failure being explained is thrown by the caller either way.
    return undefined
  }
}

/** Unmounts what is mounted at `target`. Throws system: EBUSY while something is open below it. */
export function unmount(target: string): void {
  check(umount(cstr(target), UMOUNT_NOFOLLOW), 'unmount', target)
}

export type MountPoint = { readonly target: string; readonly type: string; readonly source: string }

/** What is mounted at `target` (a real path), lowest first. */
export function mountsAt(target: string): MountPoint[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .flatMap((line) => {
      // id parent major:minor root target options [tags…] - type source options (proc_pid_mountinfo(5))
      const [before = '', after] = line.split(' - ')
      const [type = '', source = ''] = after?.split(' ') ?? []
      const at = unescapeOctal(before.split(' ')[4] ?? '')
      return at === target && after !== undefined ? [{ target: at, type, source: unescapeOctal(source) }] : []
    })
}

const unescapeOctal = (text: string): string =>
  Buffer.from(
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    'latin1',
  ).toString()

/** True if an overlay of ours is on top at `target`. */
export function isOurMount(target: string): boolean {
  const top = mountsAt(target).at(-1)
  return top?.type === 'overlay' && top.source === MOUNT_SOURCE
}
