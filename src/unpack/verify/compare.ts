/**
 * Two trees, entry by entry: the one a layer must have, and the one it has. Nothing is remembered of what was compared, so a million
 * entries cost no more memory than ten; a descriptor of each tree is held per level. Nothing is opened through a symlink, and of what is
 * not a file nothing is opened at all.
 */
import { type Failure, failureOf, WindlassError } from '../../failure/failure.ts'
import { cstr, ENOENT, errnoName, lstatat, S, type Stat } from '../../sys/libc.ts'
import { type Descriptor, type Entry, entriesOf, openDirectory } from '../../sys/tree.ts'
import { isWhiteout } from '../tree/directories.ts'
import { compareAttributes } from './attributes.ts'
import { type Comparison, type Place, pathTo } from './comparison.ts'
import { compareContent } from './content.ts'
import type { Differences } from './difference.ts'
import { identify } from './skeleton.ts'

/** One directory in both trees, as far as it has been compared. */
type Frame = {
  readonly path: string
  readonly want: Descriptor
  readonly have: Descriptor
  /** What it must have; then what it has. */
  readonly entries: Iterator<Entry>
  readonly extra: Iterator<Entry>
  isComplete: boolean
}

/** Compares what lies below two open directories, and the directories themselves. Throws what `goOn` throws, and system for the first tree. */
export function compareTrees(want: number, have: number, comparison: Comparison): void {
  using open = new DisposableStack()
  const frames: Frame[] = []
  open.defer(() => {
    for (const frame of frames) closeFrame(frame)
  })
  const enter = (path: string, wantDir: number, haveDir: number, name: Buffer): void => {
    const frame = openFrame(path, wantDir, haveDir, name, comparison)
    if (frame !== undefined) frames.push(frame)
  }
  compareEntry({ path: '', want, have, name: HERE }, comparison)
  enter('', want, have, HERE)
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    comparison.goOn()
    const entry = frame.isComplete ? undefined : next(frame.entries)
    if (entry !== undefined) {
      const place = { path: join(frame.path, entry.name), want: frame.want.fd, have: frame.have.fd, name: entry.name }
      if (compareEntry(place, comparison)) enter(place.path, place.want, place.have, place.name)
      continue
    }
    frame.isComplete = true
    const more = nextOfTheirs(frame, comparison)
    if (more === undefined) closeFrame(frames.pop())
    else checkExpected(frame, more, comparison)
  }
}

const HERE = cstr('.')

/** True where both are directories. */
function compareEntry(place: Place, comparison: Comparison): boolean {
  const { differences, implied } = comparison
  const { path, name } = place
  const want = lstatat(place.want, name)
  if (typeof want === 'number') throw new WindlassError({ kind: 'system', operation: 'statx', code: errnoName(want) })
  const have = lstatat(place.have, name)
  if (have === -ENOENT) {
    differences.add(path, 'missing', `${typeName(want)} is missing`)
    return false
  }
  if (typeof have === 'number') {
    unreadable(comparison, path, { kind: 'system', operation: 'statx', code: errnoName(have) })
    return false
  }
  if (typeName(want) !== typeName(have)) {
    differences.add(path, 'type', `${typeName(have)} in place of ${typeName(want)}`)
    return false
  }
  // What hides a name has no attributes that anybody could see.
  if (isWhiteout(want)) return false
  const isDirectory = (want.mode & S.IFMT) === S.IFDIR
  const origin = { isImplied: implied.has(path), isRoot: path === '' }
  guarded(comparison, path, () => compareAttributes(place, want, have, origin, differences))
  if (!isDirectory) compareNames(place, want, have, differences)
  if ((want.mode & S.IFMT) === S.IFREG) guarded(comparison, path, () => compareContent(place, want, have, comparison))
  return isDirectory
}

/** Whether names that the layer gives one file lead to one file, and no other names to it. */
function compareNames({ path, want: dir, name }: Place, want: Stat, have: Stat, differences: Differences): void {
  if (have.nlink > want.nlink)
    differences.add(path, 'hardlink', `the file has ${have.nlink} names, and ${want.nlink} in the layer`)
  if (want.nlink === 1) return
  const own = `${have.dev} ${have.ino}`
  if (identify(pathTo(dir, name), own) !== own)
    differences.add(path, 'hardlink', 'a file of its own, and in the layer another name of one that was compared before')
}

/** `entry` is in the tree: is it in the layer? */
function checkExpected(frame: Frame, { name }: Entry, { differences }: Comparison): void {
  const found = lstatat(frame.want.fd, name)
  if (typeof found !== 'number') return
  if (found !== -ENOENT) throw new WindlassError({ kind: 'system', operation: 'statx', code: errnoName(found) })
  const have = lstatat(frame.have.fd, name)
  const what = typeof have === 'number' ? 'something' : typeName(have)
  differences.add(join(frame.path, name), 'added', `${what} that the layer does not have`)
}

function openFrame(path: string, wantDir: number, haveDir: number, name: Buffer, comparison: Comparison): Frame | undefined {
  const want = openDirectory(wantDir, name)
  const have = guarded(comparison, path, () => openDirectory(haveDir, name))
  if (have === undefined) {
    want[Symbol.dispose]()
    return undefined
  }
  return { path, want, have, entries: entriesOf(want.fd), extra: entriesOf(have.fd), isComplete: false }
}

function closeFrame(frame: Frame | undefined): void {
  frame?.want[Symbol.dispose]()
  frame?.have[Symbol.dispose]()
}

function next(entries: Iterator<Entry>): Entry | undefined {
  const { done, value } = entries.next()
  return done === true ? undefined : value
}

const nextOfTheirs = (frame: Frame, comparison: Comparison): Entry | undefined =>
  guarded(comparison, frame.path, () => next(frame.extra))

/** Runs what looks at the tree under examination: what the disk does not give is a difference; undefined then. */
function guarded<T>(comparison: Comparison, path: string, look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind !== 'system' || OURS.has(failure.code)) throw error
    unreadable(comparison, path, failure)
    return undefined
  }
}

/** Of this process, and not of what it looks at. */
const OURS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM'])

function unreadable({ differences }: Comparison, path: string, failure: Extract<Failure, { kind: 'system' }>): void {
  differences.add(path, 'unreadable', `${failure.operation}: ${failure.code}`)
}

function join(path: string, name: Buffer): string {
  const last = name.toString('latin1', 0, name.length - 1)
  return path === '' ? last : `${path}/${last}`
}

function typeName(stat: Stat): string {
  if (isWhiteout(stat)) return 'a whiteout'
  return TYPES.get(stat.mode & S.IFMT) ?? 'something unknown'
}

const TYPES: ReadonlyMap<number, string> = new Map([
  [S.IFREG, 'a file'],
  [S.IFDIR, 'a directory'],
  [S.IFLNK, 'a symlink'],
  [S.IFCHR, 'a character device'],
  [S.IFBLK, 'a block device'],
  [S.IFIFO, 'a fifo'],
])
