/** Images that share layers, and what was packed into them, file by file: what is compared after every crash. */
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type BuiltImage, type BuiltLayer, buildImage, buildLayer, type Publishable, publish } from '../support/image.ts'
import { createRandom, type Random } from '../support/random.ts'
import type { TarEntry } from '../support/tar.ts'

/** What stands at a path: content's SHA-256, a symlink's target, or a directory. */
type Packed = { readonly mode: number; readonly mtime: number; readonly is: string }

export type FleetImage = { readonly name: string; readonly image: BuiltImage }
export type Fleet = {
  readonly images: readonly FleetImage[]
  /** What differs in a layer's tree from what was packed, one line each; none where all of it is as it was. */
  differences(diffId: string, diff: string): readonly string[]
}

export type FleetSize = { readonly images: number; readonly filesPerLayer: number }
const SHARED = 4
/** Without a link, too (store/local/sync-files.ts). */
const FEW = 20
const MTIME = 1_700_000_000

/** Every image stands on a chain of shared layers, and has a layer of its own on top: every other one so small that it is synced by file. */
export function makeFleet(seed: number, { images, filesPerLayer }: FleetSize): Fleet {
  const random = createRandom(seed)
  const trees = new Map<string, ReadonlyMap<string, Packed>>()
  const make = (name: string, files = filesPerLayer): BuiltLayer => {
    const entries = entriesOf(name, files, random.below)
    const layer = buildLayer({ tar: entries, compression: random.chance(0.5) ? 'gzip' : 'zstd' })
    trees.set(layer.diffId, new Map(entries.map((entry) => [String(entry.name).replace(/\/$/, ''), packed(entry)])))
    return layer
  }
  const shared = Array.from({ length: SHARED }, (_, i) => make(`shared${i}`))
  const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }
  return {
    images: Array.from({ length: images }, (_, i) => {
      const layers = [...shared.slice(0, 1 + random.below(SHARED)), make(`own${i}`, i % 2 === 0 ? filesPerLayer : FEW)]
      return { name: `crash/image${i}`, image: buildImage({ platform, layers }) }
    }),
    differences: (diffId, diff) => differences(trees.get(diffId) ?? new Map(), diff),
  }
}

export const putFleet = (registry: Publishable, { images }: Fleet): void => {
  for (const { name, image } of images) publish(registry, name, '1', image)
}

function entriesOf(layer: string, files: number, below: (bound: number) => number): readonly TarEntry[] {
  const directories = Array.from({ length: 8 }, (_, i): TarEntry => ({ name: `${layer}/d${i}/`, type: 'dir', mtime: MTIME }))
  const content = (i: number): string => {
    const size = below(5) === 0 ? below(120_000) : below(4096)
    return createHash('sha256')
      .update(`${layer} ${i}`)
      .digest('hex')
      .repeat(Math.ceil(size / 64))
      .slice(0, size)
  }
  return [
    { name: `${layer}/`, type: 'dir', mtime: MTIME },
    ...directories,
    ...Array.from(
      { length: files },
      (_, i): TarEntry => ({ name: `${layer}/d${i % 8}/f${i}`, content: content(i), mode: 0o600 + (i % 64), mtime: MTIME + i }),
    ),
    ...(files > FEW ? [{ name: `${layer}/link`, type: 'symlink', link: 'd0/f0', mtime: MTIME } as const] : []),
  ]
}

function packed({ type = 'file', content = '', link = '', mode, mtime = 0 }: TarEntry): Packed {
  if (type === 'dir') return { mode: 0o755, mtime, is: 'a directory' }
  if (type === 'symlink') return { mode: 0o777, mtime, is: `a link to ${link}` }
  return { mode: mode ?? 0o644, mtime, is: createHash('sha256').update(content).digest('hex') }
}

function differences(wanted: ReadonlyMap<string, Packed>, diff: string): readonly string[] {
  const found = new Set(readdirSync(diff, { recursive: true, encoding: 'utf8' }))
  const extra = [...found].filter((path) => !wanted.has(path)).map((path) => `${path}: was never packed`)
  const others = [...wanted].flatMap(([path, want]) => {
    if (!found.has(path)) return [`${path}: missing`]
    const is = standing(join(diff, path))
    return is.is === want.is && is.mode === want.mode && is.mtime === want.mtime
      ? []
      : [`${path}: ${JSON.stringify(is)} instead of ${JSON.stringify(want)}`]
  })
  return wanted.size === 0 ? [`${diff}: no such layer was packed`] : [...extra, ...others]
}

function standing(path: string): Packed {
  const stat = lstatSync(path)
  const common = { mode: stat.mode & 0o7777, mtime: stat.mtimeMs / 1000 }
  if (stat.isDirectory()) return { ...common, is: 'a directory' }
  if (stat.isSymbolicLink()) return { ...common, is: `a link to ${readlinkSync(path)}` }
  return { ...common, is: createHash('sha256').update(readFileSync(path)).digest('hex') }
}

/** At most so many of them, any of them. */
export function pickSome(images: readonly FleetImage[], random: Random, most: number): readonly FleetImage[] {
  const picked = new Set<FleetImage>()
  for (let i = 0; i < most; i++) {
    const image = images[random.below(images.length)]
    if (image !== undefined) picked.add(image)
  }
  return [...picked]
}
