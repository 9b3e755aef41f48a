/** Files' bodies: written as they come, or, for sparse files, where their map says. */
import { ftruncateSync, writeSync } from 'node:fs'
import { syncFileRange, write } from '../../sys/libc.ts'
import { Crc64 } from '../tar/crc64.ts'
import type { Sparse, TarEntry } from '../tar/entry.ts'
import type { TarReader } from '../tar/reader.ts'
import { ok } from './refusal.ts'

/** Writes the entry's body into a new file; gives its CRC-64, undefined where tar-split keeps the body itself, or there is none. */
export type WriteContent = (fd: number, entry: TarEntry, reader: TarReader) => string | undefined

export const writeContent: WriteContent = (fd, entry, reader) => {
  if (entry.sparse !== undefined) return writeSparse(fd, entry, entry.sparse, reader)
  if (entry.size === 0) return undefined
  const crc = new Crc64()
  reader.body(entry, (piece) => {
    crc.update(piece)
    writeAll(fd, piece, entry)
  })
  return crc.base64()
}

/** Smaller ones are left to the sync of all: the call takes as long as writing such a file. */
const WORTH_WRITING_BACK = 2 ** 16
/** How much of a large file is written at most before that is brought to the disk. */
const STEP = 2 ** 23
const SYNC_FILE_RANGE_WRITE = 2

/** The same; and the disk begins with what is large while the rest is unpacked, so that the image's sync finds less left to do. */
export const writeContentBack: WriteContent = (fd, entry, reader) => {
  if (entry.sparse !== undefined || entry.size < WORTH_WRITING_BACK) return writeContent(fd, entry, reader)
  const crc = new Crc64()
  let [begun, written] = [0, 0]
  const begin = (): void => {
    ok(syncFileRange(fd, begun, written - begun, SYNC_FILE_RANGE_WRITE), 'sync_file_range', entry)
    begun = written
  }
  reader.body(entry, (piece) => {
    crc.update(piece)
    writeAll(fd, piece, entry)
    written += piece.length
    if (written - begun >= STEP) begin()
  })
  if (written > begun) begin()
  return crc.base64()
}

function writeAll(fd: number, piece: Buffer, entry: TarEntry): void {
  for (let at = 0; at < piece.length; ) {
    const rest = at === 0 ? piece : piece.subarray(at)
    at += ok(write(fd, rest, rest.length), 'write', entry)
  }
}

/** Data goes to its places, holes stay holes. The tar cannot be put together from such a file, so tar-split keeps the packed data. */
export function writeSparse(fd: number, entry: TarEntry, { size, data }: Sparse, reader: TarReader): undefined {
  ftruncateSync(fd, size)
  let extent = 0
  let into = 0
  reader.rawBody(entry, (piece) => {
    for (let rest = piece; rest.length > 0; ) {
      const { offset, length } = data[extent] ?? { offset: size, length: rest.length }
      const written = writeSync(fd, rest, 0, Math.min(rest.length, length - into), offset + into)
      rest = rest.subarray(written)
      into += written
      if (into < length) continue
      extent++
      into = 0
    }
  })
}
