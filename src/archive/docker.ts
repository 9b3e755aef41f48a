/**
 * The images of an archive as `docker save` writes it (moby image/spec v1.2): `manifest.json` names configs, layers and tags. It has no
 * manifests of images, so one is made: a layer that is not compressed has its diffID for a digest, any other one is hashed.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { fail } from '../failure/failure.ts'
import { type DiffId, type Digest, digestOfHex, sha256 } from '../oci/digest.ts'
import { type Descriptor, mediaTypes } from '../oci/oci.ts'
import { MAX_LAYERS, parseConfig } from '../oci/parse.ts'
import type { Abortable } from '../task/task.ts'
import type { ArchivedFile, ArchivedImage, Files, OpenedImage } from './archive.ts'
import { lacks, normalName } from './oci-layout.ts'
import { jsonOf, readDocument } from './read-document.ts'

const MANIFEST = 'manifest.json'
const PIECE = 1024 * 1024

const listed = z.object({
  Config: z.string().min(1),
  RepoTags: z.array(z.string()).max(1000).nullish(),
  Layers: z.array(z.string().min(1)).min(1).max(MAX_LAYERS),
})
const manifestList = z.array(listed).max(1000)
type Listed = z.infer<typeof listed>

/** Undefined where this is no such archive. Throws bad-archive, system. */
export async function imagesOfDocker(files: Files, archive: string): Promise<readonly ArchivedImage[] | undefined> {
  const bytes = await readDocument(files, MANIFEST, archive)
  if (bytes === undefined) return undefined
  const list = manifestList.safeParse(jsonOf(bytes, MANIFEST, archive))
  if (!list.success) {
    const [issue] = list.error.issues
    const reason = issue === undefined ? 'it is malformed' : `${issue.path.join('.')}: ${issue.message}`
    return fail({ kind: 'bad-archive', archive, entry: MANIFEST, reason })
  }
  return list.data.map((image) => ({
    names: (image.RepoTags ?? []).flatMap((tag) => normalName(tag) ?? []),
    label: image.Config,
    open: (options) => openImage(image, files, archive, options),
  }))
}

async function openImage({ Config, Layers }: Listed, files: Files, archive: string, options: Abortable): Promise<OpenedImage> {
  const missing = (entry: string): never =>
    fail({ kind: 'bad-archive', archive, entry, reason: `${MANIFEST} names it, and it is not there` })
  const configBytes = (await readDocument(files, Config, archive)) ?? missing(Config)
  const config: Descriptor = { mediaType: mediaTypes.dockerConfig, digest: sha256(configBytes), size: configBytes.length }
  const { diffIds } = parseConfig(configBytes, config, archive, Layers.length)
  const held = new Map<Digest, Pick<ArchivedFile, 'read'>>([
    [config.digest, { read: async (offset, length) => configBytes.subarray(offset, offset + length) }],
  ])
  const layers: Descriptor[] = []
  for (const [at, path] of Layers.entries()) {
    const file = (await files.find(path)) ?? missing(path)
    const [diffId] = diffIds.slice(at, at + 1)
    if (diffId === undefined) fail({ kind: 'internal', what: `no diffID for layer ${at}` })
    const layer = await layerOf(file, diffId, options)
    layers.push(layer)
    held.set(layer.digest, file)
  }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.dockerManifest, config, layers }))
  return {
    root: { descriptor: { mediaType: mediaTypes.dockerManifest, digest: sha256(bytes), size: bytes.length }, bytes },
    blobs: {
      read: async (digest, offset, length, { signal }) => {
        signal.throwIfAborted()
        return await (held.get(digest) ?? lacks(archive, digest)).read(offset, length)
      },
    },
  }
}

/** What it is compressed with is told by its first bytes; its name says nothing. */
async function layerOf(file: ArchivedFile, diffId: DiffId, options: Abortable): Promise<Descriptor> {
  const { size } = file
  const magic = await file.read(0, 4)
  const isGzip = magic.length >= 2 && magic.readUInt16BE(0) === 0x1f8b
  const isZstd = magic.length === 4 && magic.readUInt32LE(0) === 0xfd2fb528
  if (!isGzip && !isZstd) return { mediaType: 'application/vnd.docker.image.rootfs.diff.tar', digest: diffId, size }
  const mediaType = `application/vnd.docker.image.rootfs.diff.tar.${isGzip ? 'gzip' : 'zstd'}`
  return { mediaType, digest: await digestOf(file, options), size }
}

async function digestOf(file: ArchivedFile, { signal }: Abortable): Promise<Digest> {
  const hash = createHash('sha256')
  for (let at = 0; at < file.size; at += PIECE) {
    signal.throwIfAborted()
    hash.update(await file.read(at, PIECE))
  }
  return digestOfHex(hash.digest('hex'))
}
