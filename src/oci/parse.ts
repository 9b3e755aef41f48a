/**
 * Bytes → image documents (image-spec 1.1, docker schema 2). What comes out keeps every promise of its type; what breaks the
 * specification, or could be read in two ways, is refused here and nowhere else. Fields that Windlass has no use for are left out.
 */
import { z } from 'zod'
import { fail } from '../failure/failure.ts'
import { type DiffId, type Digest, isDigest, parseDiffId } from './digest.ts'
import { check, folded, malformed, parseObject, type Source } from './json.ts'
import {
  type Compression,
  type Descriptor,
  type ImageConfig,
  type Index,
  type Manifest,
  mediaTypes,
  type Platform,
} from './oci.ts'

/** Descriptors in one index (reliability: an index of 10⁵ entries is an attack, not an image). */
const MAX_MANIFESTS = 1000
/** overlayfs stacks no more lower directories (OVL_MAX_STACK), and containers/storage writes no more. */
export const MAX_LAYERS = 500

const INDEX_TYPES: readonly string[] = [mediaTypes.ociIndex, mediaTypes.dockerList]
const MANIFEST_TYPES: readonly string[] = [mediaTypes.ociManifest, mediaTypes.dockerManifest]
/** octet-stream is what docker 1.10 and older pushed. */
const CONFIG_TYPES: readonly string[] = [mediaTypes.ociConfig, mediaTypes.dockerConfig, 'application/octet-stream']
/** What servers say that have no idea; the document's own mediaType, or its shape, decides then. */
const VAGUE_TYPES: readonly string[] = ['', 'application/json', 'text/plain', 'application/octet-stream']

const digest = z.string().transform((text, context): Digest => {
  if (isDigest(text)) return text
  const reason = /^sha(384|512):/.test(text) ? 'only sha256 digests are supported' : 'want sha256: and 64 lower-case hex digits'
  context.addIssue({ code: 'custom', message: `bad digest ${JSON.stringify(text.slice(0, 80))}: ${reason}` })
  return z.NEVER
})
/** zod's safe integers end at 2⁵³−1: a larger one in the text has lost digits already. */
const size = z.int('size must be an integer up to 2^53-1').positive('size must be at least 1')
const text = z.string()
const optionalText = text.nullish()
const platform = z
  .object({ os: text, architecture: text, variant: optionalText, 'os.version': optionalText })
  .transform((p): Platform => platformOf(p))
const descriptor = z
  .object({ mediaType: text.min(1), digest, size, platform: platform.nullish(), annotations: z.record(text, text).nullish() })
  .transform(
    (d): Descriptor => ({
      mediaType: d.mediaType,
      digest: d.digest,
      size: d.size,
      ...(d.platform ? { platform: d.platform } : {}),
      ...(d.annotations ? { annotations: d.annotations } : {}),
    }),
  )
const index = z.object({
  manifests: z.array(descriptor).max(MAX_MANIFESTS, `more than ${MAX_MANIFESTS} manifests in one index`),
})
const manifest = z.object({ config: descriptor, layers: z.array(descriptor) })
const header = z.object({ schemaVersion: z.number().nullish(), mediaType: optionalText })

const texts = z.array(text).nullish()
/** Ports and volumes are written as the keys of an object. */
const keys = z.record(text, z.unknown()).nullish()
const runConfig = z.object({
  User: optionalText,
  ExposedPorts: keys,
  Env: texts,
  Entrypoint: texts,
  Cmd: texts,
  Volumes: keys,
  WorkingDir: optionalText,
  Labels: z.record(text, text).nullish(),
  StopSignal: optionalText,
})
const imageConfig = z.object({
  os: text.min(1, 'os must be given'),
  architecture: text.min(1, 'architecture must be given'),
  variant: optionalText,
  'os.version': optionalText,
  created: optionalText,
  config: runConfig.nullish(),
  rootfs: z.object({ type: z.literal('layers', 'rootfs type must be layers'), diff_ids: z.array(digest) }),
})

/**
 * Parses what a reference or an index entry leads to. `of` is the descriptor it was fetched by; `from` is the host, for failures.
 * Throws malformed, and unsupported for schema 1, for artifacts that are no image, and for more layers than overlayfs stacks.
 */
export function parseManifestOrIndex(
  bytes: Uint8Array,
  of: Pick<Descriptor, 'mediaType' | 'digest'>,
  from: string,
): Manifest | Index {
  const source = { what: `manifest ${of.digest}`, from }
  const document = parseObject(bytes, source)
  const { mediaType, kind } = typeOf(document, of.mediaType, source)
  return kind === 'index'
    ? { kind, mediaType, manifests: check(index, document, source).manifests }
    : manifestOf(document, mediaType, source)
}

/** Parses the config of an image with `layers` layers. Throws malformed: a diffID for every layer is part of the contract. */
export function parseConfig(bytes: Uint8Array, of: Pick<Descriptor, 'digest'>, from: string, layers: number): ImageConfig {
  const source = { what: `image config ${of.digest}`, from }
  const document = check(imageConfig, parseObject(bytes, source), source)
  const diffIds = document.rootfs.diff_ids.map((id): DiffId => parseDiffId(id))
  if (diffIds.length !== layers) malformed(source, `it has ${diffIds.length} diff_ids for the ${layers} layers of its manifest`)
  const run = document.config ?? {}
  return {
    platform: platformOf(document),
    ...(document.created ? { created: document.created } : {}),
    run: {
      ...(run.User ? { user: run.User } : {}),
      exposedPorts: Object.keys(run.ExposedPorts ?? {}),
      env: run.Env ?? [],
      entrypoint: run.Entrypoint ?? [],
      cmd: run.Cmd ?? [],
      volumes: Object.keys(run.Volumes ?? {}),
      ...(run.WorkingDir ? { workingDir: run.WorkingDir } : {}),
      labels: run.Labels ?? {},
      ...(run.StopSignal ? { stopSignal: run.StopSignal } : {}),
    },
    diffIds,
  }
}

const COMPRESSIONS: ReadonlyMap<string, Compression> = new Map([
  ['application/vnd.oci.image.layer.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
])

/** How a layer of this media type is compressed. Throws unsupported with what to do about the ones that cannot be unpacked. */
export function compressionOf(mediaType: string): Compression {
  return COMPRESSIONS.get(mediaType) ?? fail({ kind: 'unsupported', what: 'layer', mediaType, hint: layerHint(mediaType) })
}

function layerHint(mediaType: string): string {
  if (mediaType.includes('+encrypted'))
    return 'the layer is encrypted and this node holds no keys; push an image that is not, or decrypt it on the way'
  if (/nondistributable|\.foreign\./.test(mediaType))
    return 'a foreign layer, as Windows base images have; Windlass pulls images for Linux'
  if (mediaType.includes('in-toto')) return 'this is an attestation about an image, not an image'
  return 'want a tar layer, plain or compressed with gzip or zstd; build the image with one of these'
}

/** What the document is. Its own mediaType must agree with the descriptor's, and its fields with both (CVE-2021-41190). */
function typeOf(
  document: Readonly<Record<string, unknown>>,
  described: string,
  source: Source,
): { mediaType: string; kind: 'index' | 'manifest' } {
  const { schemaVersion, mediaType: own } = check(header, document, source)
  const mediaType = own || (VAGUE_TYPES.includes(described) ? typeByShape(document, described) : described)
  if (schemaVersion === 1 || 'fsLayers' in document || /docker\.distribution\.manifest\.v1\+/.test(mediaType)) {
    const hint =
      'docker image manifest schema 1 has been obsolete since 2017; pull and push the image again with a current docker, podman or skopeo'
    fail({ kind: 'unsupported', what: 'manifest', mediaType: mediaType || 'schema 1', hint })
  }
  if (own && own !== described && !VAGUE_TYPES.includes(described))
    malformed(source, `it calls itself ${own} but was served as ${described}`)
  if (schemaVersion != null && schemaVersion !== 2) malformed(source, `schemaVersion is ${schemaVersion}, want 2`)
  const isIndex = INDEX_TYPES.includes(mediaType)
  if (!isIndex && !MANIFEST_TYPES.includes(mediaType)) {
    fail({
      kind: 'unsupported',
      what: 'document',
      mediaType,
      hint: `${source.from} answered something that is no image manifest; is a proxy in between?`,
    })
  }
  // In any case, because Go's JSON takes "Layers" for "layers".
  const others = isIndex ? ['config', 'layers'] : ['manifests']
  const foreign = Object.keys(document).find((key) => others.includes(folded(key)))
  if (foreign !== undefined) malformed(source, `it is ambiguous: ${mediaType} with the field ${foreign}`)
  return { mediaType, kind: isIndex ? 'index' : 'manifest' }
}

function typeByShape(document: Readonly<Record<string, unknown>>, described: string): string {
  if ('manifests' in document) return mediaTypes.ociIndex
  return 'config' in document && 'layers' in document ? mediaTypes.ociManifest : described
}

function manifestOf(document: Readonly<Record<string, unknown>>, mediaType: string, source: Source): Manifest {
  // The specification wants a config; artifacts of before it said so, and of other tools, come without.
  const isBare = typeof document.artifactType === 'string' && (document.config ?? undefined) === undefined
  if (isBare) refuseArtifact(document, mediaType)
  const { config, layers } = check(manifest, document, source)
  if (!CONFIG_TYPES.includes(config.mediaType)) refuseArtifact(document, config.mediaType)
  if (layers.length === 0)
    fail({ kind: 'unsupported', what: 'image', mediaType, hint: 'it has no layers, so there is nothing to run' })
  if (layers.length > MAX_LAYERS) {
    fail({
      kind: 'unsupported',
      what: 'image',
      mediaType,
      hint: `it has ${layers.length} layers and overlayfs stacks ${MAX_LAYERS} at most; build it with fewer`,
    })
  }
  return { kind: 'manifest', mediaType, config, layers }
}

/** By its own type, where it has one (image-spec, "Guidelines for Artifact Usage"). */
function refuseArtifact({ artifactType }: Readonly<Record<string, unknown>>, otherwise: string): never {
  return fail({
    kind: 'unsupported',
    what: 'artifact',
    mediaType: typeof artifactType === 'string' ? artifactType : otherwise,
    hint: 'the reference names an artifact, not a container image; use a tool for its type, such as oras or helm',
  })
}

/** Absent, empty and null mean the same: Go, which writes most of these documents, cannot tell them apart. */
const platformOf = (p: {
  os: string
  architecture: string
  variant?: string | null | undefined
  'os.version'?: string | null | undefined
}): Platform => ({
  os: p.os,
  architecture: p.architecture,
  ...(p.variant ? { variant: p.variant } : {}),
  ...(p['os.version'] ? { osVersion: p['os.version'] } : {}),
})
