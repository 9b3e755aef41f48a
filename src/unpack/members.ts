/**
 * What a tar on this disk holds and where, for those who read it in place: the headers alone are read, with the same strictness as a
 * layer's, and bodies are passed over.
 */
import { readSync } from 'node:fs'
import { BadTar } from './tar/entry.ts'
import { TarReader } from './tar/reader.ts'
import { TarStream } from './tar/stream.ts'

export { BadTar } from './tar/entry.ts'

/** One member. Names and targets are bytes in latin1, not cleaned. */
export type Member = {
  readonly type: 'file' | 'symlink' | 'hardlink' | 'other'
  readonly name: string
  readonly linkName: string
  /** Where its bytes begin in the tar, and how many they are. */
  readonly offset: number
  readonly size: number
  /** Its bytes are not the file's as they stand. */
  readonly isSparse: boolean
}

/** Small: behind most members lies a body that is passed over. */
const BLOCK = 8 * 1024

/** `fd` is a file of `length` bytes; `spend` is told the bytes of each extended header before it is read, and may throw. Throws BadTar, system. */
export function* membersOf(fd: number, length: number, spend: (bytes: number) => void): Generator<Member> {
  const block = Buffer.allocUnsafe(BLOCK)
  let at = 0
  const stream = new TarStream(() => {
    const count = readSync(fd, block, 0, BLOCK, at)
    at += count
    return count === 0 ? undefined : block.subarray(0, count)
  })
  const reader = new TarReader(stream, { raw: () => {} }, spend)
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
    const { type, name, linkName, size } = entry
    const offset = stream.position
    if (offset + size > length) throw new BadTar('the archive ends in the middle of a file', name)
    const isOther = type !== 'file' && type !== 'symlink' && type !== 'hardlink'
    yield { type: isOther ? 'other' : type, name, linkName, offset, size, isSparse: entry.sparse !== undefined }
    reader.passOver(entry, (bytes) => {
      at += bytes
    })
  }
}
