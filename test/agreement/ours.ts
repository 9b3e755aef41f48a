/** Our reader's account of an archive: the members that unpacking would be given, each with its raw header. */
import { BadTar } from '../../src/unpack/tar/entry.ts'
import { parseHeader } from '../../src/unpack/tar/header.ts'
import { TarReader } from '../../src/unpack/tar/reader.ts'
import { TarStream } from '../../src/unpack/tar/stream.ts'
import { checkOwner } from '../../src/unpack/tree/attributes.ts'
import type { Member } from './member.ts'

/** `headerSize` and `paxSize` are what the headers say, whatever the type makes of it. */
export type Seen = { readonly member: Member; readonly header: Buffer; readonly headerSize: number; readonly paxSize: number }
export type OurAccount = { readonly seen: readonly Seen[]; readonly refusal: string | undefined }

export function readOurs(archive: Buffer): OurAccount {
  const seen: Seen[] = []
  const blocks = [archive][Symbol.iterator]()
  // The last record that passes before a member is its header, but where a sparse map follows; that one is of no interest here.
  let header = Buffer.alloc(512)
  let paxSize = 0
  const raw = (bytes: Buffer): void => {
    if (bytes.length === 512) header = Buffer.from(bytes)
    const record = /\d size=(\d+)\n/.exec(bytes.toString('latin1'))
    if (record !== null) paxSize = Number(record[1])
  }
  const reader = new TarReader(new TarStream(() => blocks.next().value), { raw })
  try {
    for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
      checkOwner(entry)
      const { type, name, linkName: link, mode, uid, gid, mtime, deviceMajor: major, deviceMinor: minor } = entry
      const size = entry.sparse?.size ?? entry.size
      seen.push({
        member: { type, name, link, size, mode, uid, gid, mtime: mtime.seconds, major, minor },
        header,
        headerSize: parseHeader(header).size,
        paxSize,
      })
      paxSize = 0
      reader.skipBody(entry)
    }
    return { seen, refusal: undefined }
  } catch (error) {
    if (error instanceof BadTar) return { seen, refusal: error.message }
    throw error
  }
}
