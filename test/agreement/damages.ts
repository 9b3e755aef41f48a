/** What happens to whole archives on their way. */
import type { Random } from '../support/random.ts'
import { writeChecksum } from '../support/tar.ts'

export type Damage = { readonly name: string; readonly apply: (archive: Buffer, random: Random) => Buffer }

const damage = (name: string, apply: Damage['apply']): Damage => ({ name, apply })

export const damages: readonly Damage[] = [
  damage('truncated', (all, random) => all.subarray(0, random.below(all.length))),
  damage('truncated at a record', (all, random) => all.subarray(0, 512 * random.below(all.length / 512))),
  damage('no trailer', (all) => all.subarray(0, -1024)),
  damage('half a trailer', (all) => all.subarray(0, -512)),
  damage('a cut trailer', (all, random) => all.subarray(0, -random.below(1024))),
  damage('data behind the end', (all, random) => Buffer.concat([all, random.bytes(random.below(2000))])),
  damage('an archive behind the end', (all) => Buffer.concat([all, all])),
  damage('zeros behind the end', (all, random) => Buffer.concat([all, Buffer.alloc(random.below(20_000))])),
  damage('one bit', (all, random) => flip(all, random)),
  damage('one bit, and the checksum mended', (all, random) => mended(flip(all.subarray(0, all.length), random, 512))),
  damage('one byte of the first header, mended', (all, random) => {
    const copy = Buffer.from(all)
    copy[random.below(512)] = random.pick([0, 0x20, 0x2f, 0x30, 0x37, 0x38, 0x80, 0xff, random.below(256)])
    return mended(copy)
  }),
  damage('a record lost', (all, random) => {
    const at = 512 * random.below(all.length / 512)
    return Buffer.concat([all.subarray(0, at), all.subarray(at + 512)])
  }),
]

function flip(archive: Buffer, random: Random, within = archive.length): Buffer {
  const copy = Buffer.from(archive)
  const at = random.below(within)
  copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8))
  return copy
}

function mended(archive: Buffer): Buffer {
  if (archive.length >= 512) writeChecksum(archive.subarray(0, 512))
  return archive
}
