/** What a tar says of a path besides its content, in both trees: mode, owner, time, link target, device number, xattrs. */
import { check, EOPNOTSUPP, lgetxattr, llistxattr, readlinkat, S, type Stat } from '../../sys/libc.ts'
import { type Place, pathTo } from './comparison.ts'
import { type Differences, shownPath } from './difference.ts'
import { MARKS } from './skeleton.ts'

/** How a path comes to be where the tar has no entry for it. */
export type Origin = {
  /** The tar left it out: it has the attributes of the directory below, and the time it had when the layer was committed. */
  readonly isImplied: boolean
  /** Its own entry counts for nothing; it is as the store makes it. */
  readonly isRoot: boolean
}

export function compareAttributes(place: Place, want: Stat, have: Stat, origin: Origin, differences: Differences): void {
  const { path } = place
  const type = want.mode & S.IFMT
  // A symlink has none of its own.
  if (type !== S.IFLNK) differ(differences, path, 'mode', octal(want.mode), octal(have.mode))
  differ(differences, path, 'owner', `${want.uid}:${want.gid}`, `${have.uid}:${have.gid}`)
  if (!origin.isRoot && !origin.isImplied) differ(differences, path, 'mtime', time(want.mtimeNs), time(have.mtimeNs))
  if (type === S.IFLNK) differ(differences, path, 'target', target(place.want, place.name), target(place.have, place.name))
  if (type === S.IFCHR || type === S.IFBLK) differ(differences, path, 'device', device(want), device(have))
  compareXattrs(place, differences)
}

type Told = 'mode' | 'owner' | 'mtime' | 'target' | 'device'

function differ(differences: Differences, path: string, kind: Told, want: string, have: string): void {
  if (want !== have) differences.add(path, kind, `${kind} ${have}, and ${want} in the layer`)
}

const octal = (mode: number): string => `0${(mode & 0o7777).toString(8)}`
const device = ({ rdevMajor, rdevMinor }: Stat): string => `${rdevMajor}:${rdevMinor}`

/** To the nanosecond where that matters. */
function time(ns: bigint): string {
  const [seconds, rest] = [ns / 1_000_000_000n, ns % 1_000_000_000n]
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${String(rest).padStart(9, '0')}Z`
}

const PATH_MAX = 4096

function target(dir: number, name: Buffer): string {
  const into = Buffer.allocUnsafe(PATH_MAX)
  const length = readlinkat(dir, name, into, into.length)
  return length < 0 ? 'unreadable' : shownPath(into.toString('latin1', 0, length))
}

const OPAQUE = 'trusted.overlay.opaque'

function compareXattrs({ path, want, have, name }: Place, differences: Differences): void {
  const [wantPath, havePath] = [pathTo(want, name), pathTo(have, name)]
  const expected = namesOf(wantPath).filter((each) => !each.startsWith(MARKS))
  const found = namesOf(havePath)
  if (expected.length + found.length === 0) return
  for (const each of new Set([...expected, ...found])) {
    if (isPolicy(each)) continue
    const [isExpected, isFound] = [expected.includes(each), found.includes(each)]
    const isSame = isExpected && isFound && xattrOf(wantPath, each).equals(xattrOf(havePath, each))
    if (isSame) continue
    const how = !isFound ? 'is missing' : isExpected ? 'has another value' : 'is not in the layer'
    if (each === OPAQUE) differences.add(path, 'opaque', `the mark that hides what lies below ${how}`)
    else differences.add(path, 'xattr', `${shownPath(each)} ${how}`)
  }
}

/** This node's own policy, not the image's; none of it comes from a layer. */
const isPolicy = (name: string): boolean => name === 'security.selinux' || name === 'security.ima' || name === 'security.evm'

/** XATTR_LIST_MAX and XATTR_SIZE_MAX. */
const list = Buffer.allocUnsafe(2 ** 16)

function namesOf(path: Buffer): readonly string[] {
  const length = llistxattr(path, list, list.length)
  if (length === 0 || length === -EOPNOTSUPP) return []
  return list.toString('latin1', 0, check(length, 'llistxattr') - 1).split('\0')
}

function xattrOf(path: Buffer, name: string): Buffer {
  const value = Buffer.allocUnsafe(2 ** 16)
  const length = lgetxattr(path, Buffer.from(`${name}\0`, 'latin1'), value, value.length)
  return value.subarray(0, check(length, 'lgetxattr'))
}
