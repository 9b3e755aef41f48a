/** Layers as compressed streams, sound ones in the forms that tools write, and damaged ones. */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { Compression } from '../../src/oci/oci.ts'
import type { Damage } from '../agreement/damages.ts'
import type { Random } from '../support/random.ts'

/** One stream, or several joined, which both formats allow. */
export function compress(bytes: Buffer, compression: Compression, random: Random): Buffer {
  if (compression === 'none') return bytes
  const one = (part: Buffer): Buffer =>
    compression === 'gzip' ? gzipSync(part, { level: random.pick([0, 1, 6]) }) : zstdCompressSync(part)
  if (!random.chance(0.2)) return one(bytes)
  const at = random.below(bytes.length + 1)
  return Buffer.concat([
    one(bytes.subarray(0, at)),
    ...(random.chance(0.2) ? [one(Buffer.alloc(0))] : []),
    one(bytes.subarray(at)),
  ])
}

const damage = (name: string, apply: Damage['apply']): Damage => ({ name, apply })

export const streamDamages: readonly Damage[] = [
  damage('stream truncated', (blob, random) => blob.subarray(0, random.below(blob.length))),
  damage('stream of nothing', () => Buffer.alloc(0)),
  damage('stream bit', (blob, random) => bits(blob, 1, random)),
  damage('stream bits', (blob, random) => bits(blob, 1 + random.below(40), random)),
  damage('stream head', (blob, random) => bits(blob, 1, random, 20)),
  damage('stream tail', (blob, random) => Buffer.concat([blob.subarray(0, -8), random.bytes(8)])),
  damage('stream and junk', (blob, random) => Buffer.concat([blob, random.bytes(1 + random.below(100))])),
  damage('stream and zeros', (blob, random) => Buffer.concat([blob, Buffer.alloc(1 + random.below(2000))])),
  damage('stream twice', (blob) => Buffer.concat([blob, blob])),
  damage('stream in stream', (blob) => gzipSync(blob)),
  damage('stream cut out', (blob, random) => {
    const at = random.below(blob.length)
    return Buffer.concat([blob.subarray(0, at), blob.subarray(at + 1 + random.below(64))])
  }),
  damage('zstd of a huge window', () => Buffer.from('28b52ffd00f8010000', 'hex')),
  damage('zstd skippable frames', (blob, random) =>
    Buffer.concat([
      Buffer.from('502a4d18ffffff7f', 'hex').subarray(0, 4),
      size(random.pick([0, 5, 2 ** 31])),
      Buffer.alloc(5),
      blob,
    ]),
  ),
  damage('zstd of a wanted dictionary', () => Buffer.from('28b52ffd2301000000010000', 'hex')),
]

function size(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function bits(blob: Buffer, count: number, random: Random, within = blob.length): Buffer {
  const copy = Buffer.from(blob)
  for (let left = count; left > 0 && copy.length > 0; left--) {
    const at = random.below(Math.min(within, copy.length))
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8))
  }
  return copy
}
