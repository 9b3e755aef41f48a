/** A whole file's bytes, inflated where it is compressed, by what it begins with. */
import { readSync } from 'node:fs'
import { createInflater } from './inflate/create.ts'
import { Input } from './inflate/input.ts'

export { CorruptStream } from './inflate/inflate.ts'

const BLOCK = 256 * 1024

export type Codec = 'gzip' | 'zstd' | 'none'

/** How a file is compressed. Throws system. */
export function codecOf(fd: number): Codec {
  using inflater = createInflater(inputOf(fd, () => {}))
  return inflater.codec
}

/** Blocks, each valid until the next one is asked for. `onRead` is told how many bytes of the file have been read. Throws CorruptStream, system. */
export function* inflated(fd: number, onRead: (bytes: number) => void): Generator<Uint8Array> {
  using inflater = createInflater(inputOf(fd, onRead))
  for (let block = inflater.next(); block !== undefined; block = inflater.next()) yield block
}

function inputOf(fd: number, onRead: (bytes: number) => void): Input {
  const block = Buffer.allocUnsafe(BLOCK)
  let at = 0
  return new Input(() => {
    const count = readSync(fd, block, 0, BLOCK, at)
    at += count
    onRead(at)
    return count === 0 ? undefined : block.subarray(0, count)
  })
}
