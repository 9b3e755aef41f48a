/**
 * One 512-byte tar header (POSIX.1-1988 ustar, GNU and V7), its fields as they stand in it. What they mean together with extended
 * headers is the reader's business.
 */
import { BadTar } from './entry.ts'

export type RawHeader = {
  readonly typeflag: string
  readonly name: string
  readonly linkName: string
  readonly size: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: number
  readonly deviceMajor: number
  readonly deviceMinor: number
}

const CHECKSUM = { start: 148, end: 156 }
const USTAR = Buffer.from('ustar\0')
const GNU = Buffer.from('ustar  \0')
const STAR = Buffer.from('tar\0')
const SPACE = 0x20

/** Parses a header record; throws BadTar. */
export function parseHeader(record: Buffer): RawHeader {
  verifyChecksum(record)
  const name = text(record, 0, 100)
  // Nobody looks at the version behind ustar's magic; GNU's magic takes it in.
  const isUstar = hasAt(record, 257, USTAR)
  const isGnu = hasAt(record, 257, GNU)
  const hasDevice = isUstar || isGnu
  const prefix = isUstar ? ustarPrefix(record) : isGnu ? misplacedPrefix(record) : ''
  return {
    typeflag: String.fromCharCode(record[156] ?? 0),
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: text(record, 157, 257),
    size: numeric(record, 124, 136, 'size'),
    mode: numeric(record, 100, 108, 'mode'),
    uid: numeric(record, 108, 116, 'uid'),
    gid: numeric(record, 116, 124, 'gid'),
    mtime: numeric(record, 136, 148, 'mtime'),
    deviceMajor: hasDevice ? numeric(record, 329, 337, 'devmajor') : 0,
    deviceMinor: hasDevice ? numeric(record, 337, 345, 'devminor') : 0,
  }
}

/** True for a record of zeros: half of the end-of-archive mark. */
export function isZero(record: Buffer): boolean {
  for (let at = 0; at < record.length; at++) if (record[at] !== 0) return false
  return true
}

/** The sum of all bytes with the checksum field read as spaces; old writers summed signed bytes. */
function verifyChecksum(record: Buffer): void {
  const want = numeric(record, CHECKSUM.start, CHECKSUM.end, 'checksum')
  let unsigned = 0
  for (let at = 0; at < 512; at++) unsigned += record[at] ?? 0
  for (let at = CHECKSUM.start; at < CHECKSUM.end; at++) unsigned += SPACE - (record[at] ?? 0)
  if (want === unsigned) return
  let signed = 0
  for (let at = 0; at < 512; at++) {
    const byte = at >= CHECKSUM.start && at < CHECKSUM.end ? SPACE : (record[at] ?? 0)
    signed += byte < 128 ? byte : byte - 256
  }
  if (want !== signed) throw new BadTar('the header checksum is wrong')
}

/** star archives end the record with "tar\0" and keep times behind a shorter prefix. */
function ustarPrefix(record: Buffer): string {
  if (!hasAt(record, 508, STAR)) return text(record, 345, 500)
  // Others than Go would read on into the times.
  if (record[475] !== 0) throw new BadTar('the prefix has no end')
  return text(record, 345, 476)
}

/**
 * GNU headers have times where ustar has its prefix. Go wrote a prefix there before 1.8; it is recognised, as Go does, by times that are
 * no numbers.
 */
function misplacedPrefix(record: Buffer): string {
  try {
    if (record[345] !== 0) numeric(record, 345, 357, 'atime')
    if (record[357] !== 0) numeric(record, 357, 369, 'ctime')
    return ''
  } catch {
    const prefix = text(record, 345, 500)
    for (let at = 0; at < prefix.length; at++) if (prefix.charCodeAt(at) > 127) return ''
    return prefix
  }
}

/** Byte by byte: a call out of JavaScript costs more than these few take. */
function hasAt(record: Buffer, start: number, bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) if (record[start + at] !== bytes[at]) return false
  return true
}

/** Bytes up to the first NUL, in latin1. */
function text(record: Buffer, start: number, end: number): string {
  let to = start
  while (to < end && record[to] !== 0) to++
  return to === start ? '' : record.toString('latin1', start, to)
}

/** Octal digits between spaces and NULs, or base-256 when the first bit is set (GNU, star). */
function numeric(record: Buffer, start: number, end: number, field: string): number {
  const first = record[start] ?? 0
  return (first & 0x80) === 0 ? octal(record, start, end, field) : base256(record, start, end, field)
}

function octal(record: Buffer, start: number, end: number, field: string): number {
  let from = start
  let to = end
  while (from < to && isBlank(record[from])) from++
  while (to > from && isBlank(record[to - 1])) to--
  // Go reads digits behind a NUL, Python does not.
  if (from < to && record[start] === 0) throw new BadTar(`the header's ${field} starts with a NUL`)
  let value = 0
  for (let at = from; at < to; at++) {
    const byte = record[at] ?? 0
    // Some writers leave garbage behind a NUL inside the field.
    if (byte === 0) break
    if (byte < 0x30 || byte > 0x37) throw new BadTar(`the header's ${field} is not a number`)
    value = value * 8 + (byte - 0x30)
  }
  return value
}

const isBlank = (byte: number | undefined): boolean => byte === SPACE || byte === 0

function base256(record: Buffer, start: number, end: number, field: string): number {
  const negative = ((record[start] ?? 0) & 0x40) !== 0
  let value = negative ? -1n : 0n
  for (let at = start; at < end; at++) {
    const byte = record[at] ?? 0
    value = (value << 8n) | BigInt(at === start ? (negative ? byte | 0x80 : byte & 0x7f) : byte)
  }
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new BadTar(`the header's ${field} is out of range`)
  return number
}
