/**
 * zstd (RFC 8878) through the library that Node's binary exports: node:zlib drops every frame after the first in one write
 * (nodejs/node#64741), and pzstd and zstd:chunked write many.
 */
import koffi from 'koffi'
import { CorruptStream, type Inflater, type Memory } from './inflate.ts'
import type { Input } from './input.ts'

/** ZSTD_d_windowLogMax, and the most memory a frame may ask for: 128 MiB, the reference decoder's own default. */
const WINDOW_LOG_MAX = 100
const MAX_WINDOW_LOG = 27

type Library = {
  create(): bigint
  free(stream: bigint): number
  set(stream: bigint, parameter: number, value: number): number
  decompress(stream: bigint, out: Buffer, input: Buffer): number | bigint
  isError(code: number | bigint): number
  errorName(code: number | bigint): string
}
let loaded: Library | undefined
function library(): Library {
  if (loaded === undefined) {
    const node = koffi.load(null)
    loaded = {
      create: node.func('ZSTD_createDStream', 'uintptr_t', []),
      free: node.func('ZSTD_freeDStream', 'size_t', ['uintptr_t']),
      set: node.func('ZSTD_DCtx_setParameter', 'size_t', ['uintptr_t', 'int', 'int']),
      decompress: node.func('ZSTD_decompressStream', 'size_t', ['uintptr_t', 'void *', 'void *']),
      isError: node.func('ZSTD_isError', 'uint', ['size_t']),
      errorName: node.func('ZSTD_getErrorName', 'str', ['size_t']),
    }
  }
  return loaded
}

export class Unzstd implements Inflater {
  readonly codec = 'zstd'
  readonly #input: Input
  readonly #zstd = library()
  readonly #stream = this.#zstd.create()
  readonly #memory: Memory
  // ZSTD_inBuffer and ZSTD_outBuffer: { pointer, size, position }.
  readonly #inBuffer = Buffer.alloc(24)
  readonly #outBuffer = Buffer.alloc(24)
  #frameOpen = false
  #full = false

  constructor(input: Input, memory: Memory) {
    this.#input = input
    this.#memory = memory
    this.#check(this.#zstd.set(this.#stream, WINDOW_LOG_MAX, MAX_WINDOW_LOG))
  }

  next(): Uint8Array | undefined {
    for (;;) {
      const bytes = this.#input.bytes()
      // A full block may leave output behind in the decoder, even with no input left.
      if (bytes.length === 0 && !this.#full) {
        if (this.#frameOpen) throw new CorruptStream('the zstd stream ends too early')
        return undefined
      }
      this.#inBuffer.writeBigUInt64LE(bytes.length === 0 ? 0n : koffi.address(bytes), 0)
      this.#inBuffer.writeBigUInt64LE(BigInt(bytes.length), 8)
      this.#inBuffer.writeBigUInt64LE(0n, 16)
      const memory = this.#memory()
      this.#outBuffer.writeBigUInt64LE(koffi.address(memory), 0)
      this.#outBuffer.writeBigUInt64LE(BigInt(memory.length), 8)
      this.#outBuffer.writeBigUInt64LE(0n, 16)
      const hint = this.#check(this.#zstd.decompress(this.#stream, this.#outBuffer, this.#inBuffer))
      this.#input.skip(Number(this.#inBuffer.readBigUInt64LE(16)))
      const produced = Number(this.#outBuffer.readBigUInt64LE(16))
      // 0 says a frame is complete and all of it is out; the next call starts the next frame.
      this.#frameOpen = hint !== 0
      this.#full = produced === memory.length && this.#frameOpen
      if (produced > 0) return memory.subarray(0, produced)
    }
  }

  [Symbol.dispose](): void {
    this.#zstd.free(this.#stream)
  }

  #check(code: number | bigint): number {
    if (this.#zstd.isError(code) !== 0) throw new CorruptStream(`zstd: ${this.#zstd.errorName(code)}`)
    return Number(code)
  }
}
