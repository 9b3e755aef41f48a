/** What is pulled: images that share nothing, large ones and small ones, always the same. */
import { createCipheriv } from 'node:crypto'
import { type BuiltImage, buildImage, buildLayer, type Publishable, publish } from '../support/image.ts'
import type { TarEntry } from '../support/tar.ts'

export type Burden = { readonly name: string; readonly image: BuiltImage }

const SMALL_FILE = 8 * 1024
const MIB = 2 ** 20
const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }

/** Of four layers: one file of half its bytes, and small files. */
export function largeImage(i: number, mib: number): Burden {
  const half = (mib * MIB) / 2
  const sizes = Array.from({ length: Math.floor(half / SMALL_FILE / 3) }, () => SMALL_FILE)
  const layers = [[half], sizes, sizes, sizes].map((each, layer) =>
    buildLayer({ tar: filesOf(`large${i}-${layer}`, each), compression: layer % 2 === 0 ? 'zstd' : 'gzip' }),
  )
  return { name: `steady/large${i}`, image: buildImage({ platform, layers }) }
}

export const largeImages = (count: number, mib: number): readonly Burden[] =>
  Array.from({ length: count }, (_, i) => largeImage(i, mib))

export const smallImages = (count: number): readonly Burden[] =>
  Array.from({ length: count }, (_, i) => {
    const layers = [0, 1].map((layer) => buildLayer({ tar: filesOf(`small${i}-${layer}`, [2000, 300]) }))
    return { name: `steady/small${i}`, image: buildImage({ platform, layers }) }
  })

export const putAll = (registry: Publishable, all: readonly Burden[]): void => {
  for (const { name, image } of all) publish(registry, name, '1', image)
}

/** Half of each file can be compressed. */
function filesOf(seed: string, sizes: readonly number[]): readonly TarEntry[] {
  const random = createCipheriv('aes-128-ctr', Buffer.from(seed.padEnd(16).slice(0, 16)), Buffer.alloc(16))
  return sizes.map((size, i) => ({
    name: `${seed}/d${i % 50}/f${i}`,
    content: Buffer.concat([random.update(Buffer.alloc(size / 2)), Buffer.alloc(size / 2, i)]),
  }))
}
