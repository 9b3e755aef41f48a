/** Makes archives, each from its own seed: members as many writers write them, and in about two of three something odd. */
import { createRandom, type Random } from '../support/random.ts'
import { type TarEntry, type TarPart, type TarType, tar } from '../support/tar.ts'
import { type Damage, damages } from './damages.ts'
import { oddities } from './oddities.ts'
import type { Oddity } from './oddity.ts'

export type Case = { readonly seed: number; readonly archive: Buffer; readonly odd: readonly string[] }

export function generate(seed: number): Case {
  const random = createRandom(seed)
  const odd: string[] = []
  const strange = random.chance(0.62)
  const count = 1 + random.below(5)
  const places = new Set(strange ? [random.below(count), ...(random.chance(0.3) ? [random.below(count)] : [])] : [])
  const parts: TarPart[] = []
  for (let at = 0; at < count; at++) {
    const entry = member(random)
    const oddity = places.has(at) ? pick(oddities, random) : undefined
    if (oddity !== undefined) odd.push(oddity.name)
    parts.push(...(oddity === undefined ? [entry] : oddity.apply(entry, random)))
  }
  const archive = tar(parts)
  const damage: Damage | undefined = random.chance(0.15) ? pick(damages, random) : undefined
  if (damage === undefined) return { seed, archive, odd }
  return { seed, archive: damage.apply(archive, random), odd: [...odd, damage.name] }
}

const pick = <T extends Oddity | Damage>(from: readonly T[], random: Random): T | undefined => from[random.below(from.length)]

const NAMES = [
  'a',
  'etc/passwd',
  './usr/lib/libc.so.6',
  '/absolute',
  'with space',
  'tab\tnewline\n',
  'back\\slash',
  'dots/../x',
  'é',
  '.',
] as const
const RAW = [Buffer.from([0x63, 0xe9]), Buffer.from([0xff, 0xfe, 0x2f, 0x80]), Buffer.from([1, 2, 27, 127])] as const

function nameOf(random: Random): Buffer {
  const kind = random.below(10)
  if (kind < 6) return Buffer.from(random.pick(NAMES))
  if (kind === 6) return random.pick(RAW)
  if (kind === 7) return Buffer.from('n'.repeat(99 + random.below(3)))
  if (kind === 8) return Buffer.from(`${'d'.repeat(20 + random.below(100))}/${'e'.repeat(80 + random.below(60))}`)
  return Buffer.from(`dir/${'é'.repeat(49 + random.below(30))}`)
}

function member(random: Random): TarEntry {
  const type = random.pick<TarType>(['file', 'file', 'file', 'dir', 'symlink', 'hardlink', 'char', 'block', 'fifo'])
  const name = nameOf(random)
  const style = random.pick(['ustar', 'ustar', 'gnu', 'gnu', 'v7', 'star'])
  const numbers = {
    mode: random.pick([0o644, 0o755, 0o4755, 0o2711, 0o1777, 0, 0o7777, 0o100644]),
    uid: random.pick([0, 0, 1000, 65_534, 2 ** 21 - 1, 2 ** 21, 4_000_000_000]),
    gid: random.pick([0, 0, 1000, 2 ** 21, 3_000_000_000]),
    mtime: random.pick([0, 1, 1_600_000_000, 1_700_000_000, 8 ** 11 - 1, 8 ** 11, -1, 1_600_000_000.25]),
  }
  const long = random.chance(0.1)
  return {
    name: type === 'dir' && random.chance(0.9) ? Buffer.concat([name, Buffer.from('/')]) : name,
    type,
    ...(type === 'file' ? { content: random.bytes(random.pick([0, 1, 511, 512, 513, 1100])) } : {}),
    ...(type === 'symlink' || type === 'hardlink' ? { link: long ? 'l'.repeat(100 + random.below(60)) : nameOf(random) } : {}),
    ...(type === 'char' || type === 'block' ? { devMajor: random.below(300), devMinor: random.below(3000) } : {}),
    ...numbers,
    mtime: style === 'gnu' ? Math.floor(numbers.mtime) : numbers.mtime,
    format: style === 'gnu' ? 'gnu' : 'pax',
    ...(style === 'v7' && type !== 'char' && type !== 'block' ? { header: v7 } : {}),
    ...(style === 'star' ? { header: star } : {}),
  }
}

/** No magic, and no types but files and links. */
function v7(block: Buffer): void {
  block.fill(0, 257, 512)
  if (block[156] === 0x30) block[156] = 0
}

/** star ends its record with its name and keeps access and change time behind a shorter prefix. */
function star(block: Buffer): void {
  block.write('14371234567 14371234567 ', 476, 'latin1')
  block.write('tar\0', 508, 'latin1')
}
