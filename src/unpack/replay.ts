/**
 * Puts a layer's tar together again from its tree and tar-split, byte for byte. The result goes through the same unpacker as a download,
 * so its diffID is checked like any other, and a damaged copy is found.
 */
import { readSync } from 'node:fs'
import { z } from 'zod'
import { jsonOrUndefined } from '../oci/json.ts'
import { AT, check, close, cstr, errnoName, fstat, O, openat, openat2, RESOLVE, S } from '../sys/libc.ts'
import { Gunzip } from './inflate/gunzip.ts'
import { oneBlock } from './inflate/inflate.ts'
import { Input } from './inflate/input.ts'
import { BadTar } from './tar/entry.ts'

const BLOCK = 2 ** 18
/** tar-split lines hold at most 1 MiB of raw bytes in base64. */
const MAX_LINE = 2 ** 22

const lineSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal(2), payload: z.base64() }),
  z.object({
    type: z.literal(1),
    name: z.string().optional(),
    name_raw: z.base64().optional(),
    size: z.int().nonnegative().optional(),
    payload: z.string().nullish(),
  }),
])

/** One line of a tar-split: bytes of the tar, or a file whose content lies in the tree, with its CRC-64 in base64. */
export type SplitLine =
  | { readonly kind: 'raw'; readonly bytes: Buffer }
  | { readonly kind: 'file'; readonly name: Buffer; readonly size: number; readonly crc64: string }

/** Gives the tar's bytes in blocks, each valid until the next one is asked for. Neither descriptor is closed. */
export function* replay(diffFd: number, splitFd: number): Generator<Uint8Array> {
  const block = Buffer.allocUnsafe(BLOCK)
  for (const line of splitLines(splitFd)) {
    if (line.kind === 'raw') yield line.bytes
    else yield* content(diffFd, line.name, line.size, block)
  }
}

/** The lines of a tar-split file, but for those of files without content. Throws BadTar, CorruptStream. */
export function* splitLines(splitFd: number): Generator<SplitLine> {
  for (const text of lines(splitFd)) {
    const line = lineSchema.safeParse(jsonOrUndefined(text))
    if (!line.success) throw new BadTar('its tar-split file is damaged')
    const { data } = line
    if (data.type === 2) yield { kind: 'raw', bytes: Buffer.from(data.payload, 'base64') }
    else if (data.size !== undefined && data.size > 0)
      yield { kind: 'file', name: nameOf(data), size: data.size, crc64: data.payload ?? '' }
  }
}

const nameOf = (line: { name?: string | undefined; name_raw?: string | undefined }): Buffer =>
  line.name_raw === undefined ? Buffer.from(line.name ?? '') : Buffer.from(line.name_raw, 'base64')

/** A file's bytes; the name is the tar's, so it is resolved inside the tree. */
function* content(diffFd: number, name: Buffer, size: number, block: Buffer): Generator<Uint8Array> {
  const shown = name.toString()
  const fd = openFile(diffFd, name, shown)
  try {
    for (let left = size; left > 0; ) {
      const count = readSync(fd, block, 0, Math.min(left, BLOCK), null)
      if (count === 0) throw new BadTar('the local copy is too short', shown)
      yield block.subarray(0, count)
      left -= count
    }
  } finally {
    close(fd)
  }
}

/**
 * A later member may have put something else under the name. It is looked at before it is opened: to open a device is to act on it.
 * Throws BadTar, system.
 */
export function openFile(diffFd: number, name: Buffer, shown: string): number {
  const found = openat2(diffFd, cstr(name), O.PATH | O.NOFOLLOW, 0, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS)
  if (found < 0) throw new BadTar(`the local copy cannot be read: ${errnoName(found)}`, shown)
  try {
    const stat = fstat(found)
    if (typeof stat === 'number' || (stat.mode & S.IFMT) !== S.IFREG)
      throw new BadTar('the local copy has something else there', shown)
    return check(openat(AT.FDCWD, cstr(`/proc/self/fd/${found}`), O.RDONLY | O.CLOEXEC, 0), 'open', shown)
  } finally {
    close(found)
  }
}

function* lines(splitFd: number): Generator<string> {
  const chunk = Buffer.allocUnsafe(BLOCK)
  let position = 0
  const input = new Input(() => {
    const count = readSync(splitFd, chunk, 0, BLOCK, position)
    position += count
    return count === 0 ? undefined : chunk.subarray(0, count)
  })
  using gunzip = new Gunzip(input, oneBlock())
  let rest = ''
  for (let block = gunzip.next(); block !== undefined; block = gunzip.next()) {
    // Our lines are ASCII but for names, whose bytes may be cut between two blocks: latin1 keeps them whole until the line is.
    const parts = (rest + Buffer.from(block).toString('latin1')).split('\n')
    rest = parts.pop() ?? ''
    if (rest.length > MAX_LINE) throw new BadTar('its tar-split file is damaged')
    for (const part of parts) yield Buffer.from(part, 'latin1').toString()
  }
}
