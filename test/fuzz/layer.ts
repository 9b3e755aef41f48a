/** Makes layers to attack with, each from its own seed: a tree, mutations that know what a tar is, and then some that do not. */
import { type Digest, sha256 } from '../../src/oci/digest.ts'
import type { Compression } from '../../src/oci/oci.ts'
import { damages } from '../agreement/damages.ts'
import { oddities } from '../agreement/oddities.ts'
import { createRandom, type Random } from '../support/random.ts'
import { type TarEntry, type TarPart, type TarType, tar } from '../support/tar.ts'
import { type Mutation, mutations } from './mutations.ts'
import { compress, streamDamages } from './streams.ts'

export type FuzzLayer = {
  readonly seed: number
  readonly tar: Buffer
  readonly blob: Buffer
  readonly compression: Compression
  /** What the manifest would say; now and then a lie. */
  readonly digest: Digest
  readonly diffId: Digest
  readonly did: readonly string[]
}

/** Places outside the layer that it shall try to reach: an absolute path, and names that climb to it. */
export type Targets = readonly [string, ...string[]]

export function makeLayer(seed: number, targets: Targets): FuzzLayer {
  const random = createRandom(seed)
  const did: string[] = []
  const bytes = damaged(tar(members(random, targets, did)), random, did)
  const compression = random.pick<Compression>(['none', 'gzip', 'gzip', 'zstd', 'zstd'])
  const whole = compress(bytes, compression, random)
  const damage = random.chance(0.08) ? pick(streamDamages, random) : undefined
  if (damage !== undefined) did.push(damage.name)
  const blob = damage === undefined ? whole : damage.apply(whole, random)
  const lies = random.chance(0.03)
  if (lies) did.push('a wrong digest')
  const lie = sha256(Buffer.from(`lie ${seed}`))
  const blobLies = lies && random.chance(0.5)
  return {
    seed,
    tar: bytes,
    blob,
    compression,
    digest: blobLies ? lie : sha256(blob),
    diffId: lies && !blobLies ? lie : sha256(bytes),
    did,
  }
}

function members(random: Random, targets: Targets, did: string[]): readonly TarPart[] {
  let entries = tree(random)
  for (let left = random.below(4); left > 0; left--) {
    const mutation: Mutation | undefined = pick(mutations, random)
    if (mutation === undefined) continue
    did.push(mutation.name)
    entries = [...mutation.apply(entries, random, targets)]
  }
  if (!random.chance(0.08)) return entries
  const oddity = pick(oddities, random)
  const at = random.below(entries.length)
  const odd = entries[at]
  if (oddity === undefined || odd === undefined) return entries
  did.push(oddity.name)
  return [...entries.slice(0, at), ...oddity.apply(odd, random), ...entries.slice(at + 1)]
}

function damaged(bytes: Buffer, random: Random, did: string[]): Buffer {
  const damage = random.chance(0.08) ? pick(damages, random) : undefined
  if (damage === undefined || bytes.length === 0) return bytes
  did.push(damage.name)
  return damage.apply(bytes, random)
}

const pick = <T>(from: readonly T[], random: Random): T | undefined => from[random.below(from.length)]

/** Few names, so that members meet once a mutation has moved them; as they stand, they make a tree. */
const DIRECTORIES = ['a/', 'b/', 'a/b/', 'c/d/', 'etc/', './usr/lib/', 'tmp/', 'link/', 'a/implied/below/'] as const
const FILES = ['f', 'a/f', 'a/b/f', 'b/g', './etc/passwd', 'usr/lib/x', 'tmp/x', 'c/d/f', 'x/y/z', 'link/f'] as const
const SPECIAL = ['link', 'a/link', 'b/l', 'tmp/p', 'usr/l', 'link2', 'bin'] as const
const LINKS = ['a', 'b', '.', '..', '/', 'a/b', '../a', '/a/b', 'tmp', '../../..', 'missing', './b/../a', 'link'] as const

/** The hard links among them name a file that came before. */
function tree(random: Random): TarEntry[] {
  const entries = Array.from({ length: 2 + random.below(14) }, () => member(random))
  const seen: (string | Buffer)[] = []
  return entries.flatMap((entry): TarEntry[] => {
    const target = seen[random.below(seen.length)]
    if (entry.type === 'file') seen.push(entry.name)
    return entry.type !== 'hardlink' ? [entry] : target === undefined ? [] : [{ ...entry, link: target }]
  })
}

function member(random: Random): TarEntry {
  const type = random.pick<TarType>(['file', 'file', 'file', 'dir', 'dir', 'symlink', 'hardlink', 'fifo', 'char', 'block'])
  return {
    name: random.pick(type === 'file' ? FILES : type === 'dir' ? DIRECTORIES : SPECIAL),
    type,
    ...(type === 'file' ? { content: random.bytes(random.pick([0, 1, 100, 512, 3000])) } : {}),
    ...(type === 'symlink' ? { link: random.pick(LINKS) } : {}),
    ...(type === 'char' || type === 'block' ? { devMajor: random.below(20), devMinor: random.below(20) } : {}),
    mode: random.pick([0o644, 0o755, 0o4755, 0o2775, 0o1777, 0, 0o7777]),
    uid: random.pick([0, 0, 1000, 4_000_000_000]),
    gid: random.pick([0, 0, 5]),
    mtime: random.pick([0, 1_600_000_000, 1_600_000_000.5]),
    format: random.pick(['pax', 'pax', 'gnu']),
  }
}
