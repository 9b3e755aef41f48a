/**
 * Images as an archive. Blobs are not kept, so a layer is its tar, put together again from the tree and its tar-split, and an image gets a
 * manifest of these: its config, and so its id, is the one it had. The same images always make the same bytes.
 */
import { createHash } from 'node:crypto'
import { closeSync, constants, openSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { fail } from '../failure/failure.ts'
import { digestOfHex, hexOf, parseDigest, sha256 } from '../oci/digest.ts'
import { mediaTypes } from '../oci/oci.ts'
import type { HeldImage, HeldLayer } from '../store/held.ts'
import type { Abortable } from '../task/task.ts'
import { replay } from '../unpack/replay.ts'

export const FORMATS = ['oci', 'docker'] as const
export type ArchiveFormat = (typeof FORMATS)[number]

/** Where an archive goes, file by file. What `content` gives is valid until it is asked again, and has `size` bytes. */
export interface ArchiveWriter {
  file(path: string, size: number, content: Iterable<Uint8Array>, options: Abortable): Promise<void>
  end(): Promise<void>
}

/** Throws digest-mismatch and size-mismatch where a layer is damaged, what the writer throws, system, cancelled. */
export async function writeArchive(
  images: readonly HeldImage[],
  format: ArchiveFormat,
  writer: ArchiveWriter,
  options: Abortable,
): Promise<void> {
  const done = new Set<string>()
  const once = async (path: string, size: number, content: () => Iterable<Uint8Array>): Promise<void> => {
    if (done.has(path)) return
    done.add(path)
    await writer.file(path, size, content(), options)
    await turn()
    options.signal.throwIfAborted()
  }
  const document = (path: string, bytes: Uint8Array): Promise<void> => once(path, bytes.length, () => [bytes])
  if (format === 'oci') await document('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'))
  for (const { config, layers } of images) {
    const configPath = format === 'oci' ? blobPath(sha256(config)) : dockerConfig(config)
    await document(configPath, config)
    for (const layer of layers) {
      const path = format === 'oci' ? blobPath(layer.diffId) : dockerLayer(layer)
      await once(path, layer.size, () => tarOf(layer))
    }
    if (format === 'oci') await document(blobPath(sha256(manifestOf({ config, layers }))), manifestOf({ config, layers }))
  }
  if (format === 'oci') await document('index.json', indexOf(images))
  else await document('manifest.json', dockerManifest(images))
  await writer.end()
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const blobPath = (digest: string): string => `blobs/sha256/${hexOf(parseDigest(digest))}`
const dockerConfig = (config: Uint8Array): string => `${hexOf(sha256(config))}.json`
const dockerLayer = ({ diffId }: HeldLayer): string => `${hexOf(parseDigest(diffId))}.tar`

const manifestOf = ({ config, layers }: Pick<HeldImage, 'config' | 'layers'>): Buffer =>
  json({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: sha256(config), size: config.length },
    layers: layers.map(({ diffId, size }) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: diffId, size })),
  })

/** Each name has an entry: podman and skopeo read OCI's annotation as the whole name, containerd and docker have one of their own for it. */
function indexOf(images: readonly HeldImage[]): Buffer {
  const manifests = images.flatMap((image) => {
    const bytes = manifestOf(image)
    const entry = { mediaType: mediaTypes.ociManifest, digest: sha256(bytes), size: bytes.length }
    if (image.tags.length === 0) return [entry]
    return image.tags.map((tag) => ({
      ...entry,
      annotations: { 'io.containerd.image.name': tag, 'org.opencontainers.image.ref.name': tag },
    }))
  })
  return json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
}

const dockerManifest = (images: readonly HeldImage[]): Buffer =>
  json(
    images.map(({ config, tags, layers }) => ({ Config: dockerConfig(config), RepoTags: tags, Layers: layers.map(dockerLayer) })),
  )

/** The layer's tar; at its end it must have been the layer. */
function* tarOf({ diffId, diff, tarSplit, size }: HeldLayer): Generator<Uint8Array> {
  using open = new DisposableStack()
  const opened = (path: string, flags: number): number => {
    const fd = openSync(path, flags)
    open.defer(() => closeSync(fd))
    return fd
  }
  const hash = createHash('sha256')
  let bytes = 0
  for (const block of replay(opened(diff, constants.O_RDONLY | constants.O_DIRECTORY), opened(tarSplit, constants.O_RDONLY))) {
    hash.update(block)
    bytes += block.length
    yield block
  }
  if (bytes !== size) fail({ kind: 'size-mismatch', digest: diffId, want: size, got: bytes, from: diff })
  const got = digestOfHex(hash.digest('hex'))
  if (got !== diffId) fail({ kind: 'digest-mismatch', what: 'diffID', want: diffId, got, from: diff })
}
