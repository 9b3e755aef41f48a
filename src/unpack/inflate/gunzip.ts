/** gzip (RFC 1952): members one after the other, around a raw deflate engine. A tail of NULs is allowed, as gzip and GNU tar do. */

import { createDeflateEngine } from './deflate.ts'
import type { DeflateEngine } from './engine.ts'
import { CorruptStream, type Inflater, type Memory } from './inflate.ts'
import type { Input } from './input.ts'

export class Gunzip implements Inflater {
  readonly codec = 'gzip'
  readonly #input: Input
  readonly #memory: Memory
  readonly #engine: DeflateEngine = createDeflateEngine()
  #inMember = false
  #full = false

  constructor(input: Input, memory: Memory) {
    this.#input = input
    this.#memory = memory
  }

  next(): Uint8Array | undefined {
    for (;;) {
      if (!this.#inMember) {
        if (!this.#startMember()) return undefined
        this.#inMember = true
      }
      const bytes = this.#input.bytes()
      // The engine may hold output back when its block was full, even with no input left.
      if (bytes.length === 0 && !this.#full) this.#tooShort()
      const memory = this.#memory()
      const step = this.#engine.inflate(bytes, memory)
      this.#full = step.out.length === memory.length
      if (step.consumed === 0 && step.out.length === 0 && !step.done) this.#tooShort()
      this.#input.skip(step.consumed)
      if (step.done) this.#endMember(step.unread)
      if (step.out.length > 0) return step.out
    }
  }

  [Symbol.dispose](): void {
    this.#engine[Symbol.dispose]()
  }

  /** Reads a member's header (RFC 1952 §2.3); false at the end of the stream. */
  #startMember(): boolean {
    const first = this.#input.byte()
    if (first === undefined) return false
    if (first === 0) return this.#onlyNuls()
    if (first !== 0x1f || this.#need() !== 0x8b) throw new CorruptStream('garbage after the gzip stream')
    if (this.#need() !== 8) throw new CorruptStream('gzip: unknown compression method')
    const flags = this.#need()
    if ((flags & 0xe0) !== 0) throw new CorruptStream('gzip: reserved flags are set')
    for (let i = 0; i < 6; i++) this.#need()
    if ((flags & 4) !== 0) {
      const extra = this.#need() | (this.#need() << 8)
      for (let i = 0; i < extra; i++) this.#need()
    }
    if ((flags & 8) !== 0) while (this.#need() !== 0);
    if ((flags & 16) !== 0) while (this.#need() !== 0);
    if ((flags & 2) !== 0) {
      this.#need()
      this.#need()
    }
    this.#engine.reset()
    return true
  }

  #endMember(unread: Uint8Array): void {
    this.#input.unread(unread)
    const crc = this.#need32()
    const size = this.#need32()
    this.#inMember = false
    if (crc !== this.#engine.crc32()) throw new CorruptStream('gzip: wrong checksum')
    if (size !== this.#engine.size % 2 ** 32) throw new CorruptStream('gzip: wrong size')
  }

  #onlyNuls(): false {
    for (let bytes = this.#input.take(); bytes !== undefined; bytes = this.#input.take()) {
      if (bytes.some((byte) => byte !== 0)) throw new CorruptStream('garbage after the gzip stream')
    }
    return false
  }

  #need(): number {
    return this.#input.byte() ?? this.#tooShort()
  }

  #need32(): number {
    return (this.#need() | (this.#need() << 8) | (this.#need() << 16) | (this.#need() << 24)) >>> 0
  }

  #tooShort(): never {
    throw new CorruptStream('the gzip stream ends too early')
  }
}
