/** What is measured for each curve: one point is one daemon on a fresh tmpfs, warm where a pull is what is timed. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { openLocalStore } from '../../src/store/local/local.ts'
import type { Abortable } from '../../src/task/task.ts'
import { startWindlass, type Windlass } from '../../test/integration/windlass.ts'
import { startRegistry, type TestRegistry } from '../../test/registry/embedded-registry.ts'
import { stock } from '../../test/store/local/stock.ts'
import { buildImage, buildLayer, publish } from '../../test/support/image.ts'
import { median } from '../figures.ts'
import { freshFileSystem } from '../file-system.ts'
import { type LayerFile, layerOfBytes, layerOfFiles } from './layers.ts'
import { touchMemory } from './memory.ts'

export type Curve = {
  readonly name: string
  /** What is counted along the curve. */
  readonly unit: string
  readonly amounts: readonly number[]
  /** For a machine that others use, and a person who waits. */
  readonly quickTo: number
  /** Seconds of each thing that is told of this amount. */
  measure(amount: number, at: Place): Promise<Readonly<Record<string, number>>>
}

export type Place = Abortable & { readonly scratch: string }

/** What a tmpfs takes for a file of up to that. */
const PAGE = 4096

/** Raised as a node's owner would: the caps are there against hostile images. */
const env = {
  WINDLASS_MAX_LAYER_ENTRIES: '2000000',
  WINDLASS_MAX_UNPACKED_SIZE: '64Gi',
  WINDLASS_MAX_COMPRESSION_RATIO: '10000',
  WINDLASS_MAX_PARALLEL_IMAGE_PULLS: '64',
}

export const curves: readonly Curve[] = [
  {
    name: 'layers',
    unit: 'layers of 50 files',
    amounts: [1, 5, 40, 127],
    quickTo: 127,
    measure: (amount, at) =>
      onNode(at, async (node, registry) => {
        const name = publishImage(registry, 'layers', { layers: amount, files: 50, bytes: 4_096 })
        return { pull: await timed(() => pull(node, name, at)) }
      }),
  },
  {
    name: 'files',
    unit: 'files of 1 KB in one layer',
    amounts: [1_000, 10_000, 100_000, 1_000_000],
    quickTo: 100_000,
    measure: (amount, at) => pullOne(at, PAGE * amount, (file) => layerOfFiles(file, amount)),
  },
  {
    name: 'bytes',
    unit: 'bytes in one layer, unpacked',
    amounts: [10e6, 100e6, 500e6, 2e9, 8e9],
    quickTo: 500e6,
    measure: (amount, at) => pullOne(at, amount, (file) => layerOfBytes(file, amount)),
  },
  {
    name: 'images',
    unit: 'images in the store',
    amounts: [10, 100, 1_000, 10_000],
    quickTo: 1_000,
    measure: measureImages,
  },
  {
    name: 'pulls',
    unit: 'images pulled at once',
    amounts: [1, 4, 16, 64],
    quickTo: 64,
    measure: (amount, at) =>
      onNode(at, async (node, registry) => {
        const names = Array.from({ length: amount }, (_, image) =>
          publishImage(registry, `image-${image}`, { layers: 3, files: 40, bytes: 20_000 }),
        )
        return { all: await timed(() => Promise.all(names.map((name) => pull(node, name, at)))) }
      }),
  },
]

/** A daemon that has pulled already, so that its processes are there, and a registry. */
async function onNode<T>(
  { scratch, signal }: Place,
  work: (node: Windlass, registry: TestRegistry, tmpfs: string) => Promise<T>,
): Promise<T> {
  await using registry = await startRegistry()
  await using fs = await freshFileSystem('tmpfs', scratch, { signal })
  await using node = await startWindlass(join(fs.path, 'windlass'), { signal, env })
  await pull(node, publishImage(registry, 'warm', { layers: 3, files: 10, bytes: 10_000 }), { signal })
  return await work(node, registry, fs.path)
}

/** `size`: bytes of memory that the tree takes; what it takes to touch so much of it, and nothing else, is told beside. */
async function pullOne(
  at: Place,
  size: number,
  make: (file: string) => LayerFile,
): Promise<{ readonly pull: number; readonly memory: number }> {
  const file = join(at.scratch, 'layer')
  try {
    const layer = make(file)
    return await onNode(at, async (node, registry, tmpfs) => {
      await registry.putBlobFile(file)
      publishOne(registry, layer)
      const memory = await timed(async () => touchMemory(tmpfs, size, at))
      return { pull: await timed(() => pull(node, `${registry.host}/scale/one:1`, at)), memory }
    })
  } finally {
    await rm(file, { force: true })
  }
}

function publishOne(registry: TestRegistry, { digest, size, diffId }: LayerFile): void {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
  const config = JSON.stringify({ architecture, os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [diffId] } })
  registry.putBlob(config)
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256(config), size: config.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size }],
  }
  registry.putManifest('scale/one', '1', JSON.stringify(manifest), mediaTypes.ociManifest)
}

const LISTS = 20

/** A start over a store that is full, to the first answer; then how long a list takes. */
async function measureImages(
  amount: number,
  { scratch, signal }: Place,
): Promise<{ readonly start: number; readonly list: number }> {
  await using fs = await freshFileSystem('tmpfs', scratch, { signal })
  const dir = join(fs.path, 'windlass')
  {
    await using store = await openLocalStore({ root: join(dir, 'root') }, { signal })
    await stock(store, amount, { signal })
  }
  const started = performance.now()
  await using node = await startWindlass(dir, { signal, env })
  const start = (performance.now() - started) / 1000
  const lists: number[] = []
  for (let at = 0; at < LISTS; at++) {
    const asked = performance.now()
    const { images } = await node.cri.image.listImages({}, { signal })
    lists.push((performance.now() - asked) / 1000)
    if (images.length !== amount) throw new Error(`${images.length} images are listed, ${amount} are there`)
  }
  return { start, list: median(lists) }
}

const pull = async (node: Windlass, reference: string, { signal }: Abortable): Promise<void> =>
  void (await node.cri.image.pullImage({ image: { image: reference } }, { signal }))

/** Seconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

/** An image of layers that share nothing: each of so many files, of so many bytes each. Returns its reference. */
function publishImage(
  registry: TestRegistry,
  name: string,
  { layers, files, bytes }: { readonly layers: number; readonly files: number; readonly bytes: number },
): string {
  const made = Array.from({ length: layers }, (_, layer) =>
    buildLayer({ tar: filesOf(`${name}-${layer}`, files, bytes), compression: 'gzip' }),
  )
  publish(registry, `scale/${name}`, '1', buildImage({ layers: made }))
  return `${registry.host}/scale/${name}:1`
}

const filesOf = (name: string, count: number, bytes: number) =>
  Array.from({ length: count }, (_, at) => ({
    name: `${name}/f${at}`,
    content: `${name} ${at}\n`.repeat(Math.ceil(bytes / (name.length + 4))),
  }))
