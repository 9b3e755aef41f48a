/**
 * Writes tar-split: everything of a tar that is not file content, and a CRC-64 for each file, as gzipped JSON lines. With the unpacked
 * files it gives the tar back byte for byte, which containers/storage needs once the blob is gone. The shape is the one its readers
 * (github.com/vbatts/tar-split) expect.
 */

import { isUtf8 } from 'node:buffer'
import { writeSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import type { TarEntry } from './entry.ts'
import type { RawSink } from './reader.ts'

/** Lines are compressed and written in pieces of this size; each becomes a gzip member of its own. */
const FLUSH = 2 ** 19
/** A longer run of raw bytes is split over several lines: readers decode a line at a time. */
const MAX_SEGMENT = 2 ** 20

const SEGMENT = 2
const FILE = 1

export class TarSplitWriter implements RawSink {
  readonly #fd: number
  #segment = Buffer.allocUnsafe(2 ** 14)
  #used = 0
  #lines: string[] = []
  #linesSize = 0
  #position = 0

  /** `fd` is written to and stays open. */
  constructor(fd: number) {
    this.#fd = fd
  }

  raw(bytes: Buffer): void {
    this.#reserve(bytes.length)
    bytes.copy(this.#segment, this.#used)
    this.#used += bytes.length
    if (this.#used >= MAX_SEGMENT) this.#endSegment()
  }

  /** A member of the archive, after its headers; `crc64` is undefined for one without content. */
  file(entry: TarEntry, crc64: string | undefined): void {
    const size = crc64 === undefined ? '' : `,"size":${entry.size}`
    const payload = crc64 === undefined ? 'null' : `"${crc64}"`
    this.#endSegment()
    this.#line(`{"type":${FILE},${nameField(entry.name)}${size},"payload":${payload},"position":${this.#position++}}\n`)
  }

  /** Writes what is left. */
  end(): void {
    this.#endSegment()
    this.#flush()
  }

  #reserve(length: number): void {
    const needed = this.#used + length
    if (needed <= this.#segment.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#segment.length))
    this.#segment.copy(grown, 0, 0, this.#used)
    this.#segment = grown
  }

  #endSegment(): void {
    if (this.#used === 0) return
    this.#line(
      `{"type":${SEGMENT},"payload":"${this.#segment.toString('base64', 0, this.#used)}","position":${this.#position++}}\n`,
    )
    this.#used = 0
  }

  #line(line: string): void {
    this.#lines.push(line)
    this.#linesSize += line.length
    if (this.#linesSize >= FLUSH) this.#flush()
  }

  #flush(): void {
    if (this.#linesSize === 0 && this.#position > 0) return
    const member = gzipSync(this.#lines.join(''), { level: 1 })
    for (let at = 0; at < member.length; ) at += writeSync(this.#fd, member, at)
    this.#lines = []
    this.#linesSize = 0
  }
}

/** JSON strings are UTF-8; a name that is not goes as base64 under another key. */
function nameField(name: string): string {
  const bytes = Buffer.from(name, 'latin1')
  return isUtf8(bytes) ? `"name":${JSON.stringify(bytes.toString())}` : `"name_raw":"${bytes.toString('base64')}"`
}
