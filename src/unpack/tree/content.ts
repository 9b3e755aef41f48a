/** Files' bodies: written as they come, or, for sparse files, where their map says. */
import { ftruncateSync, writeSync } from 'node:fs'
import { write } from '../../sys/libc.ts'
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
