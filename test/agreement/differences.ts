/**
 * What GNU tar 1.34 and Python 3.11's tarfile read differently from Go's archive/tar, and we with Go, because Go is what containerd
 * unpacks by. Each is as narrow as it can be said: how exactly the other reader's member may differ, and from which header. Everything
 * else that readers take differently we refuse.
 */
import { type Member, show } from './member.ts'
import type { Seen } from './ours.ts'
import type { Reader } from './readers.ts'

export type Difference = {
  readonly reader: Reader['name']
  readonly what: string
  /** True where `theirs` is this header's member in that reader's eyes. */
  readonly explains?: (ours: Seen, theirs: Member) => boolean
  /** True where that reader cannot be followed any further behind this header: it looks for the next one in another place. */
  readonly ends?: (ours: Seen) => boolean
  /** True where that reader makes nothing of the header, and goes on somewhere behind it. */
  readonly loses?: (ours: Seen) => boolean
  /** True where this error means nothing for the list, which is the same. */
  readonly complains?: (error: string, seen: readonly Seen[]) => boolean
}

const text = (header: Buffer, start: number, end: number): string => header.toString('latin1', start, end).replace(/\0.*$/s, '')
const isUstar = (header: Buffer): boolean => text(header, 257, 263) === 'ustar'
const isGnu = (header: Buffer): boolean => header.toString('latin1', 257, 265) === 'ustar  \0'
const prefixed = (header: Buffer): string => `${text(header, 345, 500)}/${text(header, 0, 100)}`
const bare = (header: Buffer): string => text(header, 0, 100)
const same = (a: Member, b: Member): boolean => show(a) === show(b)
const isBlank = (header: Buffer, start: number, end: number): boolean => /^[ \0]*$/.test(header.toString('latin1', start, end))
const NUMBERS = [
  [100, 108],
  [108, 116],
  [116, 124],
  [124, 136],
  [136, 148],
  [329, 337],
  [337, 345],
] as const
const withoutNumbers = (member: Member): Member => ({ ...member, mode: 0, uid: 0, gid: 0, mtime: 0, major: 0, minor: 0 })
const hasBlank = ({ header }: Seen): boolean => NUMBERS.some(([start, end]) => isBlank(header, start, end))
/** A V7 member whose header and extended name do not both end with a slash, or both not. */
const hasDoubtfulSlash = ({ member, header }: Seen): boolean =>
  header[156] === 0 && (member.type === 'directory') !== bare(header).endsWith('/')

export const differences: readonly Difference[] = [
  {
    reader: 'Python',
    what: 'takes a prefix and device numbers from headers whose format has none',
    explains: ({ member, header }, theirs) => {
      const name = isUstar(header) || bare(header) !== member.name ? member.name : prefixed(header)
      const { major, minor } = isUstar(header) || isGnu(header) ? member : theirs
      return same({ ...member, name: text(header, 345, 500) === '' ? member.name : name, major, minor }, theirs)
    },
    loses: ({ header }) => !isUstar(header) && !isGnu(header) && /[^0-7 \0]/.test(header.toString('latin1', 329, 345)),
  },
  {
    reader: 'Python',
    what: 'knows a V7 directory by the slash in its header, not by one in an extended name',
    explains: (seen, theirs) => hasDoubtfulSlash(seen) && same({ ...seen.member, type: theirs.type, size: theirs.size }, theirs),
    ends: (seen) => hasDoubtfulSlash(seen) && seen.headerSize + seen.paxSize > 0,
  },
  {
    reader: 'Python',
    what: 'wants a member behind a global header',
    complains: (error) => /end of file header|empty header/.test(error),
  },
  {
    reader: 'GNU tar',
    what: 'ignores the prefix that Go before 1.8 wrote into GNU headers',
    explains: ({ member, header }, theirs) =>
      isGnu(header) && member.name === prefixed(header) && same({ ...member, name: bare(header) }, theirs),
  },
  {
    reader: 'GNU tar',
    what: 'skips a body behind links, devices, fifos and V7 directories that state a size; Go and Python know they have none',
    ends: ({ member: { type }, header, headerSize, paxSize }) => {
      if (type === 'file' || (type === 'directory' && header[156] !== 0)) return false
      return (type === 'hardlink' ? paxSize : headerSize + paxSize) > 0
    },
  },
  {
    reader: 'GNU tar',
    what: 'complains of blank numbers, which are zero to Go and Python, and makes something else of them',
    explains: (seen, theirs) => hasBlank(seen) && same(withoutNumbers(seen.member), withoutNumbers(theirs)),
    loses: ({ header }) => isBlank(header, 124, 136),
    complains: (error, seen) => /Blanks in header/.test(error) && seen.some(hasBlank),
  },
  {
    reader: 'GNU tar',
    what: 'reads a time of -1.5 as -0.5 (all times before 1970 become the epoch on disk)',
    explains: ({ member }, theirs) =>
      member.mtime < 0 && theirs.mtime === member.mtime + 1 && same(member, { ...theirs, mtime: member.mtime }),
  },
  {
    reader: 'GNU tar',
    what: 'complains of a number in the header though an extended header overrides it',
    complains: (error) => /is out of .* range|Archive contains .* where numeric/.test(error),
  },
  {
    reader: 'GNU tar',
    what: 'takes an archive without members for something else',
    complains: (error, seen) => seen.length === 0 && /does not look like a tar archive/.test(error),
  },
  {
    reader: 'GNU tar',
    what: 'wants the padding of the last file; Go does not',
    complains: (error) => /Unexpected EOF in archive/.test(error),
  },
  {
    reader: 'Python',
    what: 'wants the padding of the last file; Go does not',
    complains: (error) => /unexpected end of data/.test(error),
  },
]
