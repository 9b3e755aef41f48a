/**
 * The layer's tree once more, without its content: what the tree under examination is compared with. It is written by the very code that
 * unpacks, so every rule of that (replaced entries, hard links, whiteouts, xattrs that are left out) holds here too.
 *
 * A file that has its content in the other tree has its size here, as a hole, and a mark: the CRC-64 that tar-split has of it, and whether
 * the bytes just read from the other tree had it. What tar-split keeps itself (sparse files) is written whole.
 */
import { ftruncateSync } from 'node:fs'
import { check, cstr, ENODATA, fsetxattr, lgetxattr, lsetxattr } from '../../sys/libc.ts'
import { Crc64 } from '../tar/crc64.ts'
import { type WriteContent, writeSparse } from '../tree/content.ts'
import type { Donor } from './donor.ts'

/** Names of our own marks; a layer sets no trusted.*. */
export const MARKS = 'trusted.windlass.'
const CONTENT = cstr(`${MARKS}content`)
const IDENTITY = cstr(`${MARKS}identity`)

/** What is marked on a file: the CRC-64 it must have, in base64, and whether it was seen. */
export type ContentMark = { readonly crc64: string; readonly isSeen: boolean }

/** Writes files as described above; `donor` is where their bytes have just come from. */
export const writeSkeleton =
  (donor: Donor): WriteContent =>
  (fd, entry, reader) => {
    if (entry.sparse !== undefined) return writeSparse(fd, entry, entry.sparse, reader)
    if (entry.size === 0) return undefined
    const crc = new Crc64()
    reader.body(entry, (piece) => crc.update(piece))
    ftruncateSync(fd, entry.size)
    const given = donor.given()
    const isSeen = given.isWhole && given.crc64 === crc.base64()
    const mark = Buffer.from(`${isSeen ? '=' : '?'}${given.crc64}`, 'latin1')
    check(fsetxattr(fd, CONTENT, mark, mark.length, 0), 'fsetxattr', 'a mark on a skeleton')
    return undefined
  }

const value = Buffer.alloc(256)

/** The mark of a file of the skeleton; undefined where tar-split has its content. `path` leads to it. */
export function contentMark(path: Buffer): ContentMark | undefined {
  const text = markOf(path, CONTENT)
  return text === undefined ? undefined : { crc64: text.slice(1), isSeen: text.startsWith('=') }
}

/** Says which inode of the other tree a file of several names was found to be, the first time; later, which one that was. */
export function identify(path: Buffer, identity: string): string {
  const known = markOf(path, IDENTITY)
  if (known !== undefined) return known
  const mark = Buffer.from(identity)
  check(lsetxattr(path, IDENTITY, mark, mark.length, 0), 'lsetxattr', 'a mark on a skeleton')
  return identity
}

function markOf(path: Buffer, name: Buffer): string | undefined {
  const length = lgetxattr(path, name, value, value.length)
  if (length === -ENODATA) return undefined
  return value.toString('latin1', 0, check(length, 'lgetxattr', 'a mark on a skeleton'))
}
