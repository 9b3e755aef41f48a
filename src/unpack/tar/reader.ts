/**
 * Reads a layer's tar member by member: ustar, PAX and GNU long names, as Go's archive/tar reads them, because that is what containerd
 * unpacks by. What it cannot read the same way it refuses. Names and values stay bytes.
 */
import { BadTar, type EntryType, type TarEntry, type Xattr } from './entry.ts'
import { isZero, parseHeader, type RawHeader } from './header.ts'
import { type PaxRecords, parsePax } from './pax.ts'
import { readMap, type SparseRecords, sparseFile } from './sparse.ts'
import type { TarStream } from './stream.ts'

/** The most one extended header or long name may hold (CVE-2022-2879). */
const MAX_EXTENDED = 2 ** 20

const types: Readonly<Record<string, EntryType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}

/** Sees every byte of the tar that is not a file's content: what tar-split keeps. */
export interface RawSink {
  raw(bytes: Buffer): void
}

type Pending = { pax?: PaxRecords; longName?: string; longLink?: string }

export class TarReader {
  readonly #stream: TarStream
  readonly #sink: RawSink
  readonly #spend: (bytes: number) => void
  #padding = 0

  /** `spend` is told the bytes of each extended header before it is read, and may throw. */
  constructor(stream: TarStream, sink: RawSink, spend: (bytes: number) => void = () => {}) {
    this.#stream = stream
    this.#sink = sink
    this.#spend = spend
  }

  /** The next member, or undefined at the end of the archive. A member's body must have been read. */
  next(): TarEntry | undefined {
    this.#skipPadding()
    const pending: Pending = {}
    for (;;) {
      const record = this.#record()
      if (record === undefined) {
        if (Object.keys(pending).length > 0) throw new BadTar('the archive ends behind an extended header')
        return undefined
      }
      const header = parseHeader(record)
      switch (header.typeflag) {
        case 'x':
          pending.pax = single(pending.pax, parsePax(this.#extended(header)))
          break
        case 'g':
          // Go would drop an extended header in front of one, others not.
          if (Object.keys(pending).length > 0) throw new BadTar('a global header behind an extended one')
          refuseSettings(parsePax(this.#extended(header)))
          break
        case 'L':
          pending.longName = single(pending.longName, untilNul(this.#extended(header)))
          break
        case 'K':
          pending.longLink = single(pending.longLink, untilNul(this.#extended(header)))
          break
        default:
          return this.#entry(header, pending)
      }
    }
  }

  /** Hands a file's body to `take`, piece by piece; a piece is valid during the call. */
  body(entry: TarEntry, take: (piece: Buffer) => void): void {
    for (let left = entry.size; left > 0; ) {
      const piece = this.#stream.some(left)
      if (piece === undefined) throw new BadTar('the archive ends in the middle of a file', entry.name)
      take(piece)
      left -= piece.length
    }
    this.#padding = padding(entry.size)
  }

  /** Reads past a body that is not written. */
  skipBody(entry: TarEntry): void {
    this.rawBody(entry, () => {})
  }

  /** Passes over a body without reading it, where the stream can be moved on. */
  passOver(entry: TarEntry, seek: (bytes: number) => void): void {
    this.#stream.passOver(entry.size, seek)
    this.#padding = padding(entry.size)
  }

  /** As `body`, for bytes the tree will not have as they stand: tar-split keeps them. */
  rawBody(entry: TarEntry, take: (piece: Buffer) => void): void {
    this.body(entry, (piece) => {
      this.#sink.raw(piece)
      take(piece)
    })
  }

  /** What follows the end of the archive: part of the digest, never parsed. */
  drain(): void {
    for (let piece = this.#stream.some(2 ** 20); piece !== undefined; piece = this.#stream.some(2 ** 20)) this.#sink.raw(piece)
  }

  /** A header record, or undefined at the end: two zero records, one and the end of the stream, or just the end. */
  #record(): Buffer | undefined {
    const record = this.#stream.record()
    this.#sink.raw(record)
    if (record.length === 0) return undefined
    if (record.length < 512) throw new BadTar('the archive ends in the middle of a header')
    if (!isZero(record)) return record
    const second = this.#stream.record()
    this.#sink.raw(second)
    if (second.length > 0 && second.length < 512) throw new BadTar('the archive ends in the middle of a header')
    if (!isZero(second)) throw new BadTar('data follows a single record of zeros')
    return undefined
  }

  #extended(header: RawHeader): Buffer {
    if (header.size < 0 || header.size > MAX_EXTENDED)
      throw new BadTar(`an extended header of ${header.size} bytes; 1 MiB is allowed`)
    this.#spend(512 + header.size)
    const body = Buffer.allocUnsafe(header.size)
    for (let at = 0; at < body.length; ) {
      const piece = this.#stream.some(body.length - at)
      if (piece === undefined) throw new BadTar('the archive ends in the middle of an extended header')
      piece.copy(body, at)
      at += piece.length
    }
    this.#sink.raw(body)
    this.#padding = padding(header.size)
    this.#skipPadding()
    return body
  }

  #entry(header: RawHeader, { pax, longName, longLink }: Pending): TarEntry {
    const name = pax?.sparse?.name ?? agreed(longName, pax?.path, 'name') ?? header.name
    const known = types[header.typeflag]
    if (known === undefined) throw new BadTar(`unknown member type ${JSON.stringify(header.typeflag)}`, name)
    // V7 archives have no type for directories: the name ends with a slash.
    const type = header.typeflag === '\0' && name.endsWith('/') ? 'directory' : known
    // A directory to Go and Python, a file to GNU tar.
    if (header.typeflag === '\0' && /^\/+$/.test(name)) throw new BadTar('a name of slashes alone, without a type', name)
    const size = pax?.size ?? header.size
    if (size < 0) throw new BadTar('the size is negative', name)
    // A directory to GNU tar, a file to Go.
    if (type === 'file' && name.endsWith('/')) throw new BadTar('a file whose name ends with a slash', name)
    const linkName = agreed(longLink, pax?.linkPath, 'link target') ?? header.linkName
    if (linkName === '' && (type === 'symlink' || type === 'hardlink')) throw new BadTar('a link without a target', name)
    this.#padding = 0
    const common = {
      type,
      name,
      linkName,
      size: type === 'file' ? size : 0,
      mode: header.mode & 0o7777,
      uid: pax?.uid ?? header.uid,
      gid: pax?.gid ?? header.gid,
      mtime: pax?.mtime ?? { seconds: header.mtime, nanoseconds: 0 },
      deviceMajor: header.deviceMajor,
      deviceMinor: header.deviceMinor,
      xattrs: pax?.xattrs ?? noXattrs,
    }
    return pax?.sparse === undefined ? common : this.#sparse(common, pax.sparse)
  }

  /** A sparse file, whose map may stand in front of its data. */
  #sparse(entry: TarEntry, { size, map }: SparseRecords): TarEntry {
    if (entry.type !== 'file') throw new BadTar('a sparse map for what is no file', entry.name)
    if (map !== 'in body') return { ...entry, sparse: sparseFile(size, map, entry.size) }
    let left = entry.size
    const inBody = readMap(() => {
      left -= 512
      const block = this.#stream.record()
      if (left < 0 || block.length < 512) throw new BadTar('a sparse map that does not end', entry.name)
      this.#spend(block.length)
      this.#sink.raw(block)
      return block
    })
    return { ...entry, size: left, sparse: sparseFile(size, inBody, left) }
  }

  #skipPadding(): void {
    while (this.#padding > 0) {
      const piece = this.#stream.some(this.#padding)
      // An archive may end without the last file's padding (Go accepts it).
      if (piece === undefined) break
      this.#sink.raw(piece)
      this.#padding -= piece.length
    }
    this.#padding = 0
  }
}

const noXattrs: readonly Xattr[] = []

const padding = (size: number): number => (512 - (size % 512)) % 512

/** Of two extended headers of a kind, some readers take the first, some the last, some both. */
function single<T>(before: T | undefined, value: T): T {
  if (before !== undefined) throw new BadTar('two extended headers of one kind for one member')
  return value
}

/** Go prefers GNU's long name, GNU tar the PAX record. */
function agreed(long: string | undefined, record: string | undefined, what: string): string | undefined {
  if (long !== undefined && record !== undefined && long !== record) throw new BadTar(`the long ${what} and the PAX one differ`)
  return long ?? record
}

/** containerd ignores what a global header says, others apply it to every member. Comments are all that writers put there. */
function refuseSettings({ xattrs, ...records }: PaxRecords): void {
  const [setting = xattrs.length > 0 ? 'xattrs' : undefined] = Object.keys(records)
  if (setting !== undefined) throw new BadTar(`a global header sets ${setting}`)
}

function untilNul(body: Buffer): string {
  const nul = body.indexOf(0)
  // Without one, Go ends at the stated size, others read on into the padding.
  if (nul === -1) throw new BadTar('a long name without its NUL')
  // No name to GNU tar, none said to Go.
  if (nul === 0) throw new BadTar('an empty long name')
  return body.toString('latin1', 0, nul)
}
