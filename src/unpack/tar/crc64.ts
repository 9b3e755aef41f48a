/**
 * CRC-64/GO-ISO, which tar-split keeps of every file: through libisal where it is, else 32 bits at a time without a table. Both the
 * register's start and its end are inverted.
 */
import { openIsal } from '../isal.ts'

type Update = (state: Crc64State, bytes: Buffer) => void
/** The inverted register in two halves. */
type Crc64State = { low: number; high: number }

const native: ((seed: bigint, bytes: Buffer, length: number) => bigint | number) | undefined = openIsal()?.func(
  'crc64_iso_refl',
  'uint64',
  ['uint64', 'void *', 'uint64'],
)

/** Folds one 32-bit word into the register: x⁶⁴ + x⁴ + x³ + x + 1, reflected. */
const portable: Update = (state, bytes) => {
  let { low, high } = state
  let at = 0
  for (const end = bytes.length - 3; at < end; at += 4) {
    const t = low ^ ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24))
    low = high ^ (t << 31) ^ (t << 29) ^ (t << 28)
    high = t ^ (t >>> 1) ^ (t >>> 3) ^ (t >>> 4)
  }
  for (; at < bytes.length; at++) {
    low ^= bytes[at] ?? 0
    for (let bit = 0; bit < 8; bit++) {
      const carry = low & 1
      low = (low >>> 1) | (high << 31)
      high >>>= 1
      if (carry !== 0) high ^= 0xd8000000
    }
  }
  state.low = low
  state.high = high
}

/** The checksum of one file, fed in order. */
export class Crc64 {
  #state: Crc64State = { low: -1, high: -1 }
  #value = 0n

  update(bytes: Buffer): void {
    if (native === undefined) portable(this.#state, bytes)
    else this.#value = BigInt(native(this.#value, bytes, bytes.length))
  }

  /** Eight bytes, big-endian, in base64: as tar-split writes it. */
  base64(): string {
    const out = Buffer.alloc(8)
    if (native === undefined) {
      out.writeUInt32BE(~this.#state.high >>> 0, 0)
      out.writeUInt32BE(~this.#state.low >>> 0, 4)
    } else out.writeBigUInt64BE(this.#value)
    return out.toString('base64')
  }
}
