/**
 * Image documents as values: descriptors, indexes, manifests and configs of OCI image-spec 1.1 and docker schema 2. The types are
 * here; `parse.ts` makes them from bytes and refuses whatever breaks the specification.
 */
import type { DiffId, Digest } from './digest.ts'

/** What an image runs on (image-spec image-index.md). `variant` and `osVersion` are absent where the document has none. */
export type Platform = {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
  readonly osVersion?: string
}

/** Points at content: its type, digest and size in bytes. */
export type Descriptor = {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly platform?: Platform
  readonly annotations?: Readonly<Record<string, string>>
}

/** The codec of a layer's blob. */
export type Compression = 'none' | 'gzip' | 'zstd'

/** A list of manifests for different platforms. */
export type Index = { readonly kind: 'index'; readonly mediaType: string; readonly manifests: readonly Descriptor[] }

/** One image: its config and its layers, base first. */
export type Manifest = {
  readonly kind: 'manifest'
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
}

/** What a container made from the image runs with; every field as in the document, absent where it has none. */
export type RunConfig = {
  readonly user?: string
  readonly exposedPorts: readonly string[]
  readonly env: readonly string[]
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly volumes: readonly string[]
  readonly workingDir?: string
  readonly labels: Readonly<Record<string, string>>
  readonly stopSignal?: string
}

/** The image config: platform, run settings and the diffIDs, base first. */
export type ImageConfig = {
  readonly platform: Platform
  readonly created?: string
  readonly run: RunConfig
  readonly diffIds: readonly DiffId[]
}

export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',

  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
} as const
