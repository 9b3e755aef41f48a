/** Raw deflate through ISA-L (libisal.so.2), where it is installed. */
import { crc32, deflateRawSync } from 'node:zlib'
import koffi from 'koffi'
import { openIsal } from '../isal.ts'
import type { DeflateEngine, InflateStep } from './engine.ts'
import { CorruptStream } from './inflate.ts'

// struct inflate_state (isa-l/igzip_lib.h, ABI 2). The tables in it make it about 84 KiB; we allocate more than any 2.x needs.
const STATE_SIZE = 2 ** 18
const NEXT_OUT = 0
const AVAIL_OUT = 8
const NEXT_IN = 16
const READ_IN = 24
const AVAIL_IN = 32
const READ_IN_LENGTH = 36
// After 40 bytes of fields: the literal table (4096 × 4 + 1264 × 2 bytes) and the distance table (1024 × 2 + 80 × 2).
const BLOCK_STATE = 40 + 18912 + 2208
const CRC_FLAG = BLOCK_STATE + 12
const CRC = BLOCK_STATE + 16
const BLOCK_FINISH = 5
/** Counts the CRC-32 but leaves gzip's header and trailer to the caller. */
const GZIP_NO_HEADER = 2

export type Library = { init(state: Uint8Array): void; reset(state: Uint8Array): void; inflate(state: Uint8Array): number }
let loaded: Library | null | undefined

/** Its inflater, or undefined where it is missing. */
export function isalLibrary(): Library | undefined {
  if (loaded === undefined) {
    loaded = open()
    // The offsets below are those of the ABI we know; a library laid out otherwise is not used.
    if (loaded !== null && !understands(loaded)) loaded = null
  }
  return loaded ?? undefined
}

/** Inflates a known stream with bytes behind it and compares everything we read from the state. */
function understands(library: Library): boolean {
  const text = Buffer.from('windlass '.repeat(40))
  const bytes = Buffer.concat([deflateRawSync(text), Buffer.from('behind the stream')])
  using engine = new IsalEngine(library)
  engine.reset()
  const { out, done, consumed, unread } = engine.inflate(bytes, new Uint8Array(new ArrayBuffer(4096)))
  const behind = Buffer.concat([unread, bytes.subarray(consumed)])
  return done && text.equals(out) && engine.crc32() === crc32(text) && behind.toString('latin1') === 'behind the stream'
}

function open(): Library | null {
  const isal = openIsal()
  if (isal === undefined) return null
  return {
    init: isal.func('isal_inflate_init', 'void', ['void *']),
    reset: isal.func('isal_inflate_reset', 'void', ['void *']),
    inflate: isal.func('isal_inflate', 'int', ['void *']),
  }
}

export class IsalEngine implements DeflateEngine {
  readonly #library: Library
  readonly #state = Buffer.alloc(STATE_SIZE)
  #size = 0

  constructor(library: Library) {
    this.#library = library
    library.init(this.#state)
  }

  get size(): number {
    return this.#size
  }

  crc32(): number {
    return this.#state.readUInt32LE(CRC)
  }

  reset(): void {
    this.#library.reset(this.#state)
    this.#state.writeUInt32LE(GZIP_NO_HEADER, CRC_FLAG)
    this.#size = 0
  }

  inflate(bytes: Uint8Array, memory: Uint8Array): InflateStep {
    const state = this.#state
    state.writeBigUInt64LE(koffi.address(bytes), NEXT_IN)
    state.writeUInt32LE(bytes.length, AVAIL_IN)
    state.writeBigUInt64LE(koffi.address(memory), NEXT_OUT)
    state.writeUInt32LE(memory.length, AVAIL_OUT)
    const status = this.#library.inflate(state)
    if (status < 0) throw new CorruptStream(`deflate: invalid data (${status})`)
    const out = memory.subarray(0, memory.length - state.readUInt32LE(AVAIL_OUT))
    this.#size += out.length
    const done = state.readUInt32LE(BLOCK_STATE) === BLOCK_FINISH
    return { consumed: bytes.length - state.readUInt32LE(AVAIL_IN), out, done, unread: done ? this.#unread() : new Uint8Array(0) }
  }

  [Symbol.dispose](): void {}

  /** Whole bytes that were taken into the bit buffer but lie behind the end of the deflate stream. */
  #unread(): Uint8Array {
    const bits = this.#state.readInt32LE(READ_IN_LENGTH)
    const bytes = new Uint8Array(Math.max(0, bits >> 3))
    let buffer = this.#state.readBigUInt64LE(READ_IN) >> BigInt(bits & 7)
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = Number(buffer & 0xffn)
      buffer >>= 8n
    }
    return bytes
  }
}
