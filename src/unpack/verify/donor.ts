/**
 * A layer's tar put together again from a tree that may be damaged: what cannot be read is made up of zeros, so that the rest of the tar
 * keeps its place. Whether the bytes were right is for whoever takes them to find out.
 */
import { readSync } from 'node:fs'
import { failureOf } from '../../failure/failure.ts'
import { close } from '../../sys/libc.ts'
import { openFile, splitLines } from '../replay.ts'
import { BadTar } from '../tar/entry.ts'

const BLOCK = 2 ** 18

/** What is known of the file whose bytes were given last. */
export type Given = {
  /** Its CRC-64 by the tar-split, in base64. */
  readonly crc64: string
  /** False where bytes were made up. */
  readonly isWhole: boolean
}

export class Donor {
  readonly #diffFd: number
  readonly #splitFd: number
  readonly #block = Buffer.allocUnsafe(BLOCK)
  #given: Given = { crc64: '', isWhole: false }

  /** Neither descriptor is closed. */
  constructor(diffFd: number, splitFd: number) {
    this.#diffFd = diffFd
    this.#splitFd = splitFd
  }

  given(): Given {
    return this.#given
  }

  /** Blocks, each valid until the next one is asked for. Throws BadTar, CorruptStream: then the tar-split is damaged. */
  *blocks(): Generator<Uint8Array> {
    for (const line of splitLines(this.#splitFd)) {
      if (line.kind === 'raw') yield line.bytes
      else {
        this.#given = { crc64: line.crc64, isWhole: true }
        yield* this.#content(line.name, line.size)
      }
    }
  }

  *#content(name: Buffer, size: number): Generator<Uint8Array> {
    const fd = opened(this.#diffFd, name)
    try {
      for (let left = size; left > 0; ) {
        const wanted = Math.min(left, BLOCK)
        const count = fd === undefined ? 0 : read(fd, this.#block, wanted)
        if (count === 0) {
          this.#given = { ...this.#given, isWhole: false }
          this.#block.fill(0, 0, wanted)
        }
        yield this.#block.subarray(0, count === 0 ? wanted : count)
        left -= count === 0 ? wanted : count
      }
    } finally {
      if (fd !== undefined) close(fd)
    }
  }
}

/** Undefined for what is not there, is no file, or cannot be read: the comparison of the trees finds out which. */
function opened(diffFd: number, name: Buffer): number | undefined {
  try {
    return openFile(diffFd, name, '')
  } catch (error) {
    if (error instanceof BadTar || failureOf(error).kind === 'system') return undefined
    throw error
  }
}

/** 0 at the end, and where the disk gives no more. */
function read(fd: number, into: Buffer, wanted: number): number {
  try {
    return readSync(fd, into, 0, wanted, null)
  } catch (error) {
    if (failureOf(error).kind === 'system') return 0
    throw error
  }
}
