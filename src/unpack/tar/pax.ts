/** PAX extended header records (POSIX.1-2001 pax, "Extended Header"): `length key=value\n`, values are bytes. */
import { BadTar, type TarTime, type Xattr } from './entry.ts'
import { isMapRecord, type MapRecord, type SparseRecords, sparseRecords } from './sparse.ts'

/** What we use of a member's extended header; everything else in it is ignored. */
export type PaxRecords = {
  readonly path?: string
  readonly linkPath?: string
  readonly size?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: TarTime
  readonly xattrs: readonly Xattr[]
  readonly sparse?: SparseRecords
}

const XATTR = 'SCHILY.xattr.'
const SPACE = 0x20
const ZERO = 0x30
const EQUALS = 0x3d
const NEWLINE = 0x0a

/** Parses the body of an `x` header; throws BadTar. */
export function parsePax(body: Buffer): PaxRecords {
  const values = new Map<string, Buffer>()
  const map: MapRecord[] = []
  for (let at = 0; at < body.length; ) at = readRecord(body, at, values, map)
  const sparse = sparseRecords(values, map)
  return {
    ...textRecord(values, 'path', 'path'),
    ...textRecord(values, 'linkpath', 'linkPath'),
    ...numberRecord(values, 'size'),
    ...numberRecord(values, 'uid'),
    ...numberRecord(values, 'gid'),
    ...timeRecord(values),
    xattrs: xattrsOf(values),
    ...(sparse === undefined ? {} : { sparse }),
  }
}

/** Reads the record at `at`; gives where the next one starts. A later record of a key wins, but for those of a sparse map. */
function readRecord(body: Buffer, at: number, values: Map<string, Buffer>, map: MapRecord[]): number {
  const { length, space } = lengthAt(body, at)
  const end = at + length
  if (length < 5 || end > body.length || body[end - 1] !== NEWLINE) throw new BadTar('malformed PAX record')
  let equals = space + 1
  while (equals < end && body[equals] !== EQUALS) equals++
  if (equals === end || equals === space + 1) throw new BadTar('malformed PAX record')
  const key = body.toString('latin1', space + 1, equals)
  if (key.includes('\0')) throw new BadTar('a PAX key contains a NUL byte')
  const value = body.subarray(equals + 1, end - 1)
  if (isMapRecord(key)) map.push({ key, value: value.toString('latin1') })
  else values.set(key, value)
  return end
}

/** Up to nine digits, the first of them not 0, and the space behind; a length of 0 is none. */
function lengthAt(body: Buffer, at: number): { readonly length: number; readonly space: number } {
  let length = 0
  let space = at
  for (let digit = digitOf(body[space]); digit >= 0 && space - at < 10; digit = digitOf(body[space])) {
    length = 10 * length + digit
    space++
  }
  const isNumber = body[at] !== ZERO && space - at <= 9 && body[space] === SPACE
  return { length: isNumber ? length : 0, space }
}

const digitOf = (byte: number | undefined): number => (byte !== undefined && byte >= ZERO && byte < ZERO + 10 ? byte - ZERO : -1)

/** An empty value is the header's own to Go, an empty one to others, and an error to GNU tar; no writer leaves one. */
function stated(values: Map<string, Buffer>, key: string): Buffer | undefined {
  const value = values.get(key)
  if (value?.length === 0) throw new BadTar(`the PAX ${key} is empty`)
  return value
}

function textRecord<K extends 'path' | 'linkPath'>(values: Map<string, Buffer>, key: string, as: K): { [P in K]?: string } {
  const value = stated(values, key)
  if (value === undefined) return {}
  if (value.includes(0)) throw new BadTar(`the PAX ${key} contains a NUL byte`)
  return { [as]: value.toString('latin1') } as { [P in K]?: string }
}

function numberRecord<K extends 'size' | 'uid' | 'gid'>(values: Map<string, Buffer>, key: K): { [P in K]?: number } {
  const text = stated(values, key)?.toString('latin1')
  if (text === undefined) return {}
  const value = /^-?[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new BadTar(`the PAX ${key} is not a number`)
  return { [key]: value } as { [P in K]?: number }
}

/** Seconds with any number of decimals, possibly negative: digits behind the ninth are cut off. */
function timeRecord(values: Map<string, Buffer>): { mtime?: TarTime } {
  const text = stated(values, 'mtime')?.toString('latin1')
  if (text === undefined) return {}
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(text)
  if (match === null) throw new BadTar('the PAX mtime is not a time')
  const [, sign, whole, fraction = ''] = match
  const seconds = Number(whole)
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'))
  if (sign !== '-') return { mtime: { seconds, nanoseconds } }
  return {
    mtime: nanoseconds === 0 ? { seconds: -seconds, nanoseconds } : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds },
  }
}

function xattrsOf(values: Map<string, Buffer>): Xattr[] {
  const xattrs: Xattr[] = []
  for (const [key, value] of values) {
    // The stream's memory is used again before the entry is: values are copied.
    if (key.startsWith(XATTR)) xattrs.push({ name: Buffer.from(key.slice(XATTR.length), 'latin1'), value: Buffer.from(value) })
  }
  return xattrs
}
