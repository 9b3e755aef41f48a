/** The image that is pulled: bytes nobody can compress, in few large files and in many small ones. */
import { createCipheriv } from 'node:crypto'
import { parseDiffId } from '../../src/oci/digest.ts'
import { parseConfig } from '../../src/oci/parse.ts'
import type { NewImage } from '../../src/store/store.ts'
import { type BuiltLayer, buildImage, buildLayer } from '../../test/support/image.ts'

type Shape = { readonly files: number; readonly bytes: number }
const MIB = 2 ** 20
export const IMAGES = ['many', 'few'] as const
export type ImageName = (typeof IMAGES)[number]

/** A whole system's worth, and what an application's layer adds to one that is here. */
const shapes: Readonly<Record<ImageName, readonly Shape[]>> = {
  many: [
    { files: 4000, bytes: 16 * 1024 },
    { files: 16, bytes: 16 * MIB },
    { files: 8000, bytes: 4 * 1024 },
    { files: 2000, bytes: 48 * 1024 },
  ],
  few: [{ files: 20, bytes: MIB }],
}

export const describe = (name: ImageName): string => {
  const [files, bytes] = shapes[name].reduce<[number, number]>(
    (sum, each) => [sum[0] + each.files, sum[1] + each.files * each.bytes],
    [0, 0],
  )
  return `${Math.round(bytes / MIB)} MiB in ${files} files, ${shapes[name].length} layers`
}

export type Sample = { readonly image: NewImage; readonly layers: readonly Pick<BuiltLayer, 'blob' | 'diffId' | 'descriptor'>[] }

export function makeSample(name: ImageName): Sample {
  const layers = shapes[name].map((shape, i) => {
    const { blob, diffId, descriptor } = layerOf(shape, i)
    return { blob, diffId, descriptor, tar: new Uint8Array() }
  })
  const { descriptor, bytes, id, config } = buildImage({ layers })
  return {
    layers,
    image: {
      id,
      manifest: descriptor,
      config: parseConfig(config, { digest: id }, 'the bench', layers.length),
      configBytes: config,
      manifestBytes: bytes,
      layers: layers.map((layer) => layer.descriptor),
      tag: 'bench.test/neighbour:1',
      digest: `bench.test/neighbour@${descriptor.digest}`,
    },
  }
}

function layerOf({ files, bytes }: Shape, number: number): BuiltLayer {
  const random = createCipheriv('aes-128-ctr', Buffer.alloc(16, number), Buffer.alloc(16))
  const nothing = Buffer.alloc(bytes)
  const directory = (i: number): string => `layer${number}/d${i % 100}`
  return buildLayer({
    compression: 'zstd',
    tar: Array.from({ length: files }, (_, i) => ({ name: `${directory(i)}/f${i}`, content: random.update(nothing) })),
  })
}

export const diffIdOf = ({ diffId }: Pick<BuiltLayer, 'diffId'>): ReturnType<typeof parseDiffId> => parseDiffId(diffId)
