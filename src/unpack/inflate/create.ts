import { Gunzip } from './gunzip.ts'
import { type Inflater, type Memory, oneBlock } from './inflate.ts'
import type { Input } from './input.ts'
import { Unzstd } from './unzstd.ts'

/** The inflater for what `input` starts with. Blocks are put into `memory`; those of a stream that is not compressed are the input's own. */
export function createInflater(input: Input, memory: Memory = oneBlock()): Inflater {
  const magic = Buffer.from(input.peek(4))
  if (magic.length >= 2 && magic[0] === 0x1f && magic[1] === 0x8b) return new Gunzip(input, memory)
  if (isZstd(magic)) return new Unzstd(input, memory)
  return { codec: 'none', next: () => input.take(), [Symbol.dispose]: () => {} }
}

/** A zstd frame, or a skippable one (RFC 8878 §3.1.1 and §3.1.2). */
function isZstd(magic: Buffer): boolean {
  if (magic.length < 4) return false
  const number = magic.readUInt32LE(0)
  return number === 0xfd2fb528 || (number & 0xfffffff0) >>> 0 === 0x184d2a50
}
