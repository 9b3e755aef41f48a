/** A directory tree as comparable text: one record for every entry, with everything a container could notice about it. */
import { createHash } from 'node:crypto'
import { type BigIntStats, closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { check, cstr, lgetxattr, llistxattr, S } from '../sys/libc.ts'
import type { Abortable } from '../task/task.ts'

/** Paths are relative to the root, as latin1 of their raw bytes; the root is `.`. */
export type Tree = ReadonlyMap<string, Entry>

export type Entry = {
  readonly type: 'file' | 'dir' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket'
  /** Permissions with setuid, setgid and sticky, octal. */
  readonly mode: string
  readonly owner: string
  /** Seconds and nine digits of fraction. */
  readonly mtime: string
  /** `name=hex`, sorted; overlay's own are left out. */
  readonly xattrs: readonly string[]
  /** Files: bytes, sha256, and the first path in sorted order that is the same file. */
  readonly size?: bigint
  readonly content?: string
  readonly links?: string
  readonly linkCount?: bigint
  /** Symlinks: the target, latin1. Devices: `major:minor`. */
  readonly target?: string
  readonly device?: string
}

const types: ReadonlyMap<number, Entry['type']> = new Map([
  [S.IFREG, 'file'],
  [S.IFDIR, 'dir'],
  [S.IFLNK, 'symlink'],
  [S.IFCHR, 'char'],
  [S.IFBLK, 'block'],
  [S.IFIFO, 'fifo'],
])

/** Signals are seen so often. */
const ENTRIES_A_TURN = 200

/** Reads the whole tree below `root`. */
export async function readTree(root: string, { signal }: Abortable): Promise<Tree> {
  const tree = new Map<string, Entry>()
  const firstNames = new Map<bigint, string>()
  const visit = async (path: Buffer, name: string): Promise<void> => {
    const entry = readEntry(path, name, firstNames)
    tree.set(name, entry)
    if (tree.size % ENTRIES_A_TURN === 0) await turn()
    signal.throwIfAborted()
    if (entry.type !== 'dir') return
    // A name that is no UTF-8 survives in latin1 alone.
    for (const child of readdirSync(path, 'latin1').toSorted()) {
      await visit(Buffer.concat([path, Buffer.from(`/${child}`, 'latin1')]), name === '.' ? child : `${name}/${child}`)
    }
  }
  await visit(Buffer.from(root), '.')
  return tree
}

function readEntry(path: Buffer, name: string, firstNames: Map<bigint, string>): Entry {
  const stat = lstatSync(path, { bigint: true })
  const type = types.get(Number(stat.mode) & S.IFMT) ?? 'socket'
  const common = {
    type,
    mode: (Number(stat.mode) & 0o7777).toString(8),
    owner: `${stat.uid}:${stat.gid}`,
    mtime: `${stat.mtimeNs / 1_000_000_000n}.${String(stat.mtimeNs % 1_000_000_000n).padStart(9, '0')}`,
    xattrs: xattrsOf(path),
  }
  if (type === 'file') return { ...common, size: stat.size, content: contentOf(path), ...linksOf(stat, name, firstNames) }
  if (type === 'symlink') return { ...common, target: readlinkSync(path, 'latin1') }
  if (type === 'char' || type === 'block') return { ...common, device: device(Number(stat.rdev)) }
  return common
}

function linksOf(stat: BigIntStats, name: string, firstNames: Map<bigint, string>): Pick<Entry, 'links' | 'linkCount'> {
  const links = firstNames.get(stat.ino) ?? name
  if (stat.nlink > 1n) firstNames.set(stat.ino, links)
  return { links, linkCount: stat.nlink }
}

/** The kernel's encoding of a device number (linux/kdev_t.h). */
const device = (rdev: number): string => `${(rdev >>> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`

function contentOf(path: Buffer): string {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(1 << 16)
  const fd = openSync(path, 'r')
  try {
    for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer)) hash.update(buffer.subarray(0, read))
  } finally {
    closeSync(fd)
  }
  return hash.digest('hex')
}

/** xattr(7): names of at most 255 bytes, values of at most 64 KiB, lists of at most 64 KiB. */
function xattrsOf(path: Buffer): readonly string[] {
  const name = cstr(path)
  const list = Buffer.alloc(1 << 16)
  const length = check(llistxattr(name, list, list.length), 'llistxattr', path.toString('latin1'))
  const names = list.subarray(0, length).toString('latin1').split('\0').slice(0, -1)
  const value = Buffer.alloc(1 << 16)
  return names
    .filter((each) => !each.startsWith('trusted.overlay.'))
    .toSorted()
    .map((each) => {
      const size = check(lgetxattr(name, cstr(Buffer.from(each, 'latin1')), value, value.length), 'lgetxattr', each)
      return `${each}=${value.subarray(0, size).toString('hex')}`
    })
}

/** One line for every attribute in which two trees differ: `path: attribute: ours ≠ theirs`. */
export function differences(ours: Tree, theirs: Tree): readonly string[] {
  const paths = [...new Set([...ours.keys(), ...theirs.keys()])].toSorted()
  return paths.flatMap((path) => {
    const [mine, other] = [ours.get(path), theirs.get(path)]
    if (mine === undefined || other === undefined) return [`${path}: ${mine === undefined ? 'missing here' : 'only here'}`]
    const [left, right] = [new Map(Object.entries(mine)), new Map(Object.entries(other))]
    return [...new Set([...left.keys(), ...right.keys()])]
      .filter((key) => String(left.get(key)) !== String(right.get(key)))
      .map((key) => `${path}: ${key}: ${left.get(key)} ≠ ${right.get(key)}`)
  })
}

/** How two trees compare; `differences` are the first of `count`. */
export type Comparison = {
  readonly entries: number
  readonly count: number
  readonly differences: readonly string[]
  /** Directories that differ in their time alone: those that no layer lists have the time of their making in containerd. */
  readonly directoryTimes: number
}

const TOLD = 20

export function compare(ours: Tree, theirs: Tree): Comparison {
  const all = differences(ours, theirs)
  const isTime = (line: string): boolean => {
    const [path] = line.split(': mtime: ')
    return line.includes(': mtime: ') && ours.get(path ?? '')?.type === 'dir'
  }
  const others = all.filter((line) => !isTime(line))
  return {
    entries: ours.size,
    count: others.length,
    differences: others.slice(0, TOLD),
    directoryTimes: all.length - others.length,
  }
}
