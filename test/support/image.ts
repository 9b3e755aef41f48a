/** Builds images from layers: blobs, config, manifest and index, OCI or docker schema 2, and puts them into a registry. */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type Digest, sha256 } from '../../src/oci/digest.ts'
import { type Compression, type Descriptor, mediaTypes, type Platform } from '../../src/oci/oci.ts'
import { type TarPart, tar } from './tar.ts'

export type Flavour = 'oci' | 'docker'

export type LayerSpec = {
  /** What the layer holds: members, or a finished tar, which may be broken. */
  readonly tar: readonly TarPart[] | Uint8Array
  /** gzip by default. */
  readonly compression?: Compression
  /** The blob, where it shall not be the compressed tar. */
  readonly blob?: Uint8Array
  readonly mediaType?: string
}

export type ImageSpec = {
  /** Base first. Built ones may be shared between images. */
  readonly layers: readonly (LayerSpec | BuiltLayer)[]
  readonly flavour?: Flavour
  /** linux/amd64 by default. */
  readonly platform?: Platform
  /** The config's `config`: Env, Cmd and so on, as the document has them. */
  readonly run?: Readonly<Record<string, unknown>>
  /** Merged over the config document, so that a test can break it. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Merged over the manifest document. */
  readonly manifest?: Readonly<Record<string, unknown>>
}

export type BuiltLayer = {
  readonly descriptor: Descriptor
  readonly diffId: Digest
  readonly blob: Uint8Array
  readonly tar: Uint8Array
}

export type BuiltImage = {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
  /** The digest of the config: the image's id. */
  readonly id: Digest
  readonly config: Buffer
  readonly layers: readonly BuiltLayer[]
}

export type BuiltIndex = { readonly descriptor: Descriptor; readonly bytes: Buffer; readonly images: readonly BuiltImage[] }

const TYPES = {
  oci: {
    index: mediaTypes.ociIndex,
    manifest: mediaTypes.ociManifest,
    config: mediaTypes.ociConfig,
    layer: {
      none: 'application/vnd.oci.image.layer.v1.tar',
      gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
      zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
    },
  },
  docker: {
    index: mediaTypes.dockerList,
    manifest: mediaTypes.dockerManifest,
    config: mediaTypes.dockerConfig,
    layer: {
      none: 'application/vnd.docker.image.rootfs.diff.tar',
      gzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
    },
  },
} as const

const compress = {
  none: (bytes: Uint8Array) => bytes,
  gzip: (bytes: Uint8Array) => gzipSync(bytes, { level: 6 }),
  zstd: (bytes: Uint8Array) => zstdCompressSync(bytes),
}

/** Builds one layer; the same spec always gives the same bytes. */
export function buildLayer(spec: LayerSpec, flavour: Flavour = 'oci'): BuiltLayer {
  const bytes = spec.tar instanceof Uint8Array ? spec.tar : tar(spec.tar)
  const compression = spec.compression ?? 'gzip'
  const blob = spec.blob ?? compress[compression](bytes)
  const mediaType = spec.mediaType ?? TYPES[flavour].layer[compression]
  return { descriptor: { mediaType, digest: sha256(blob), size: blob.length }, diffId: sha256(bytes), blob, tar: bytes }
}

/** Builds an image for one platform. */
export function buildImage(spec: ImageSpec): BuiltImage {
  const flavour = spec.flavour ?? 'oci'
  const { os, architecture, variant, osVersion } = spec.platform ?? { os: 'linux', architecture: 'amd64' }
  const layers = spec.layers.map((layer) => ('descriptor' in layer ? layer : buildLayer(layer, flavour)))
  const config = json({
    created: '2026-01-01T00:00:00Z',
    os,
    architecture,
    variant,
    'os.version': osVersion,
    config: spec.run ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    ...spec.config,
  })
  const mediaType = TYPES[flavour].manifest
  const bytes = json({
    schemaVersion: 2,
    mediaType,
    config: { mediaType: TYPES[flavour].config, digest: sha256(config), size: config.length },
    layers: layers.map(({ descriptor }) => descriptor),
    ...spec.manifest,
  })
  const platform = {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
  }
  return {
    descriptor: { mediaType, digest: sha256(bytes), size: bytes.length, platform },
    bytes,
    id: sha256(config),
    config,
    layers,
  }
}

/** Builds an index of images for different platforms, or a docker manifest list. */
export function buildIndex(images: readonly BuiltImage[], flavour: Flavour = 'oci'): BuiltIndex {
  const mediaType = TYPES[flavour].index
  const manifests = images.map(({ descriptor: { platform, ...descriptor } }) => {
    const { osVersion, ...named } = platform ?? { os: 'linux', architecture: 'amd64' }
    return { ...descriptor, platform: { ...named, 'os.version': osVersion } }
  })
  const bytes = json({ schemaVersion: 2, mediaType, manifests })
  return { descriptor: { mediaType, digest: sha256(bytes), size: bytes.length }, bytes, images }
}

/** What is needed of the embedded registry. */
export type Publishable = {
  putBlob(bytes: Uint8Array): Digest
  putManifest(repository: string, tagOrDigest: string, bytes: Uint8Array, mediaType: string): Digest
}

/** Puts an image or an index, with everything they lead to, under `repository:tag`. */
export function publish(registry: Publishable, repository: string, tag: string, what: BuiltImage | BuiltIndex): Descriptor {
  for (const image of 'images' in what ? what.images : [what]) {
    for (const { blob } of image.layers) registry.putBlob(blob)
    registry.putBlob(image.config)
    registry.putManifest(repository, image.descriptor.digest, image.bytes, image.descriptor.mediaType)
  }
  registry.putManifest(repository, tag, what.bytes, what.descriptor.mediaType)
  return what.descriptor
}

const json = (document: unknown): Buffer => Buffer.from(JSON.stringify(document))
