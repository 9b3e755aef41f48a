/** Raw deflate through the zlib that Node's binary exports. */
import { crc32 } from 'node:zlib'
import koffi from 'koffi'
import type { DeflateEngine, InflateStep } from './engine.ts'
import { CorruptStream } from './inflate.ts'

// z_stream on LP64 (zlib.h): one fixed 112-byte buffer, so that zlib's pointer back to it stays true.
const SIZE = 112
const NEXT_IN = 0
const AVAIL_IN = 8
const NEXT_OUT = 24
const AVAIL_OUT = 32
const MESSAGE = 48
const RAW_WINDOW = -15
const Z_OK = 0
const Z_STREAM_END = 1
const Z_BUF_ERROR = -5
const Z_NO_FLUSH = 0

const none = new Uint8Array(0)

type Library = {
  init(stream: Buffer, bits: number, version: string, size: number): number
  inflate(stream: Buffer, flush: number): number
  reset(stream: Buffer): number
  end(stream: Buffer): number
}
let loaded: Library | undefined
function library(): Library {
  if (loaded === undefined) {
    const node = koffi.load(null)
    loaded = {
      init: node.func('inflateInit2_', 'int', ['void *', 'int', 'str', 'int']),
      inflate: node.func('inflate', 'int', ['void *', 'int']),
      reset: node.func('inflateReset', 'int', ['void *']),
      end: node.func('inflateEnd', 'int', ['void *']),
    }
  }
  return loaded
}

export class ZlibEngine implements DeflateEngine {
  readonly #stream = Buffer.alloc(SIZE)
  #crc = 0
  #size = 0

  constructor() {
    const status = library().init(this.#stream, RAW_WINDOW, process.versions.zlib, SIZE)
    if (status !== Z_OK) throw new Error(`inflateInit2: ${status}`)
  }

  get size(): number {
    return this.#size
  }

  crc32(): number {
    return this.#crc
  }

  reset(): void {
    library().reset(this.#stream)
    this.#crc = 0
    this.#size = 0
  }

  inflate(bytes: Uint8Array, memory: Uint8Array): InflateStep {
    const stream = this.#stream
    stream.writeBigUInt64LE(koffi.address(bytes), NEXT_IN)
    stream.writeUInt32LE(bytes.length, AVAIL_IN)
    stream.writeBigUInt64LE(koffi.address(memory), NEXT_OUT)
    stream.writeUInt32LE(memory.length, AVAIL_OUT)
    const status = library().inflate(stream, Z_NO_FLUSH)
    const done = status === Z_STREAM_END
    if (!done && status !== Z_OK && status !== Z_BUF_ERROR) throw new CorruptStream(`deflate: ${this.#message(status)}`)
    const out = memory.subarray(0, memory.length - stream.readUInt32LE(AVAIL_OUT))
    this.#crc = crc32(out, this.#crc)
    this.#size += out.length
    return { consumed: bytes.length - stream.readUInt32LE(AVAIL_IN), out, done, unread: none }
  }

  [Symbol.dispose](): void {
    library().end(this.#stream)
  }

  #message(status: number): string {
    const pointer = this.#stream.readBigUInt64LE(MESSAGE)
    return pointer === 0n ? `error ${status}` : koffi.decode.string(pointer)
  }
}
