/** The images of the comparison, each made once and kept in a cache directory, and their way into a registry. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type Digest, parseDigest, sha256 } from '../../src/oci/digest.ts'
import type { Abortable } from '../../src/task/task.ts'
import { type LayerToPush, pushImage } from '../../test/registry/docker-registry.ts'
import { debianRoots } from './debian.ts'
import { bigLayer, fortyLayers, smallFiles } from './made.ts'
import { asZstd, blobFile, type Compression, pack } from './pack.ts'

/** Makes the directories of an image's layers, base first, below an empty one. `say` is told what takes long. */
export type Maker = (dir: string, say: (text: string) => void, options: Abortable) => Promise<readonly string[]>

export const IMAGES = ['debian', 'small-files', 'big-layer', 'layers-40'] as const
export type ImageName = (typeof IMAGES)[number]

const makers: Readonly<Record<ImageName, { readonly about: string; readonly make: Maker }>> = {
  debian: { about: 'a Debian bookworm root and four layers of packages', make: debianRoots },
  'small-files': { about: 'one layer of small files', make: smallFiles },
  'big-layer': { about: 'one layer of large files', make: bigLayer },
  'layers-40': { about: 'forty layers', make: fortyLayers },
}

const digest = z.string().transform((text) => parseDigest(text))
const packedLayer = z.object({ digest, diffId: digest, size: z.number(), unpackedSize: z.number(), entries: z.number() })
const record = z.object({ layers: z.array(packedLayer) })
export type PackedLayer = z.infer<typeof packedLayer>

/** Where they are kept. */
export const benchCache = join(tmpdir(), 'windlass-bench')

export type BenchImage = {
  readonly name: ImageName
  readonly compression: Compression
  readonly about: string
  readonly config: string
  readonly layers: readonly (LayerToPush & { readonly blob: { readonly file: string; readonly digest: Digest } })[]
  readonly imageId: Digest
  /** Compressed and unpacked bytes, and tar entries, over all layers. */
  readonly size: number
  readonly unpackedSize: number
  readonly entries: number
}

/** The image in the cache, made first where it is not there yet: minutes for the Debian one. */
export async function benchImage(
  name: ImageName,
  compression: Compression,
  say: (text: string) => void,
  options: Abortable,
): Promise<BenchImage> {
  await mkdir(benchCache, { recursive: true })
  const layers = await recorded(name, async () => {
    const dir = join(benchCache, `making-${name}-${process.pid}`)
    try {
      await mkdir(dir)
      const made: PackedLayer[] = []
      const dirs = await makers[name].make(dir, (text) => say(`${name}: ${text}`), options)
      for (const [at, each] of dirs.entries()) {
        say(`${name}: packing layer ${at + 1} of ${dirs.length}`)
        made.push(await pack(each, benchCache, options))
      }
      return made
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
  if (compression === 'gzip') return asImage(name, compression, layers)
  const twins = await recorded(`${name}-${compression}`, async () => {
    say(`${name}: the same in zstd`)
    const made: PackedLayer[] = []
    for (const layer of layers) made.push(await asZstd(layer, benchCache, options))
    return made
  })
  return asImage(name, compression, twins)
}

/** What was made before, by the record that is written when it is whole. */
async function recorded(name: string, make: () => Promise<readonly PackedLayer[]>): Promise<readonly PackedLayer[]> {
  const file = join(benchCache, `${name}.json`)
  const known = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (known !== undefined) return record.parse(JSON.parse(known)).layers
  const layers = await make()
  await writeFile(`${file}.tmp`, JSON.stringify({ layers }))
  await rename(`${file}.tmp`, file)
  return layers
}

function asImage(name: ImageName, compression: Compression, made: readonly PackedLayer[]): BenchImage {
  const config = JSON.stringify({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/sh'], Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'] },
    rootfs: { type: 'layers', diff_ids: made.map((layer) => layer.diffId) },
  })
  const sum = (of: (layer: PackedLayer) => number) => made.reduce((total, layer) => total + of(layer), 0)
  return {
    name,
    compression,
    about: makers[name].about,
    config,
    layers: made.map(({ digest }) => ({
      mediaType: `application/vnd.oci.image.layer.v1.tar+${compression}`,
      blob: { digest, file: blobFile(benchCache, digest) },
    })),
    imageId: sha256(config),
    size: sum((layer) => layer.size),
    unpackedSize: sum((layer) => layer.unpackedSize),
    entries: sum((layer) => layer.entries),
  }
}

/** Pushes the image to a registry that keeps its data from one benchmark to the next, unless it is there already. */
export async function pushBenchImage(host: string, image: BenchImage, { signal }: Abortable): Promise<string> {
  const repository = `bench/${image.name}`
  // Named by content, so that a rebuilt image is not mistaken for the one before.
  const tag = `${image.compression}-${image.imageId.slice('sha256:'.length, 'sha256:'.length + 12)}`
  const there = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    signal,
  })
  if (!there.ok) await pushImage({ host, repository }, tag, image)
  return `${host}/${repository}:${tag}`
}
