/**
 * Writes tar-split: everything of a tar that is not file content, and a CRC-64 for each file, as gzipped JSON lines. With the unpacked
 * files it gives the tar back byte for byte, which containers/storage needs once the blob is gone. The shape is the one its readers
 * (github.com/vbatts/tar-split) expect.
 */

import { isUtf8 } from 'node:buffer'
import { writeSync } from 'node:fs'
import type { TarEntry } from './entry.ts'
import { gzip } from './gzip.ts'
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
  #lines = Buffer.allocUnsafe(2 * FLUSH)
  #linesUsed = 0
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
    this.#add(`{"type":${FILE},${nameField(entry.name)}${size},"payload":${payload},"position":${this.#position++}}\n`, 'utf8')
    this.#flushIfFull()
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
    this.#add(`{"type":${SEGMENT},"payload":"`, 'latin1')
    this.#add(this.#segment.toString('base64', 0, this.#used), 'latin1')
    this.#add(`","position":${this.#position++}}\n`, 'latin1')
    this.#used = 0
    this.#flushIfFull()
  }

  /** Straight into its place: of a layer of small files these are more bytes than their content. */
  #add(text: string, encoding: 'latin1' | 'utf8'): void {
    const most = this.#linesUsed + text.length * (encoding === 'utf8' ? 3 : 1)
    if (most > this.#lines.length) {
      const grown = Buffer.allocUnsafe(Math.max(most, 2 * this.#lines.length))
      this.#lines.copy(grown, 0, 0, this.#linesUsed)
      this.#lines = grown
    }
    this.#linesUsed += this.#lines.write(text, this.#linesUsed, encoding)
  }

  #flushIfFull(): void {
    if (this.#linesUsed >= FLUSH) this.#flush()
  }

  #flush(): void {
    if (this.#linesUsed === 0 && this.#position > 0) return
    const member = gzip(this.#lines.subarray(0, this.#linesUsed))
    for (let at = 0; at < member.length; ) at += writeSync(this.#fd, member, at)
    this.#linesUsed = 0
  }
}

/** JSON strings are UTF-8; a name that is not goes as base64 under another key. */
function nameField(name: string): string {
  const bytes = Buffer.from(name, 'latin1')
  return isUtf8(bytes) ? `"name":${JSON.stringify(bytes.toString())}` : `"name_raw":"${bytes.toString('base64')}"`
}
