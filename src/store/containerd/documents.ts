/**
 * The documents of an image in containerd's content store, labelled so that each holds what it leads to. A lease holds them until a name does.
 */
import { randomUUID } from 'node:crypto'
import { fail, failureOf } from '../../failure/failure.ts'
import { type DiffId, type Digest, parseDigest } from '../../oci/digest.ts'
import { type Descriptor, mediaTypes } from '../../oci/oci.ts'
import { parseManifestOrIndex } from '../../oci/parse.ts'
import type { NewImage } from '../store.ts'
import { isUnreadable, readDocument } from './content.ts'
import type { Daemon } from './daemon.ts'
import type { ContainerdLease } from './leases.ts'
import { chainIdOf, gc, layerIdsOf, sourceLabel, UNCOMPRESSED } from './names.ts'

type Labels = Readonly<Record<string, string>>
type Document = { readonly digest: Digest; readonly bytes: Uint8Array; readonly labels: Labels }

/** Collected while it was being written, or damaged: once is bad luck. */
const ATTEMPTS = 3

/** Longer than a collection takes. */
const COLLECTION_MS = 600_000

/** The diffIDs of blobs that were fetched and unpacked here. */
export type Verified = ReadonlyMap<Digest, DiffId>

/**
 * Writes an image's documents, and returns the one that its names are for. Where blobs are kept, `kept` says what is known of them. containerd has
 * then synced their bytes, but not where they are found. Throws runtime, no-space.
 */
export async function writeDocuments(
  daemon: Daemon,
  image: NewImage,
  lease: ContainerdLease,
  kept: Verified | undefined,
): Promise<Descriptor> {
  const { target, documents } = documentsOf(image, kept !== undefined)
  if (kept !== undefined) await labelBlobs(daemon, image, kept, lease)
  for (const document of documents) await writeDocument(daemon, document, lease)
  return target
}

/** Each document after those it leads to; and the one the image's names are for. */
function documentsOf(
  image: NewImage,
  keepBlobs: boolean,
): { readonly target: Descriptor; readonly documents: readonly Document[] } {
  const source = sourceOf(image.digest)
  const top = layerIdsOf(image.config.diffIds).at(-1)
  const config = {
    digest: image.id,
    bytes: image.configBytes,
    labels: { ...source, ...(top === undefined ? {} : { [gc.snapshot]: chainIdOf(top) }) },
  }
  const manifest = {
    digest: image.manifest.digest,
    bytes: image.manifestBytes,
    labels: { ...source, [gc.config]: image.id, ...(keepBlobs ? layerLabels(image) : {}) },
  }
  const index = indexOver(image)
  if (index === undefined) return { target: image.manifest, documents: [config, manifest] }
  const labels = { ...source, [gc.manifest(0)]: image.manifest.digest }
  return {
    target: index.descriptor,
    documents: [config, manifest, { digest: index.descriptor.digest, bytes: index.bytes, labels }],
  }
}

/** What keeps layers' blobs: containerd's own pull gives a manifest the same. One that is not here is nothing to its collection. */
const layerLabels = ({ layers }: NewImage): Labels => Object.fromEntries(layers.map(({ digest }, at) => [gc.layer(at), digest]))

/** Says of the blobs that are here what containerd's own pull says of them; they are the lease's until the manifest has them. */
async function labelBlobs(daemon: Daemon, image: NewImage, kept: Verified, lease: ContainerdLease): Promise<void> {
  for (const { digest } of image.layers) {
    // Not what the image claims: containerd would take one image's blob for another one's layer.
    const diffId = kept.get(digest)
    const labels = { ...sourceOf(image.digest), ...(diffId === undefined ? {} : { [UNCOMPRESSED]: diffId }) }
    if (await labelContent(daemon, digest, labels)) await lease.hold({ content: digest })
  }
}

/** False where there is no such content. */
async function labelContent(daemon: Daemon, digest: Digest, labels: Labels): Promise<boolean> {
  const updated = await daemon.callUnless('NOT_FOUND', 'label content', async ({ content }, options) => {
    const { info } = await content.info({ digest }, options)
    const own = besides(labels, info?.labels ?? {})
    const paths = Object.keys(own).map((label) => `labels.${label}`)
    return await content.update({ info: { digest, labels: own }, updateMask: { paths } }, options)
  })
  return updated !== undefined
}

/** The index the reference named, where it lists the manifest itself: containerd looks no deeper than we write. */
function indexOver({ indexBytes: bytes, digest, manifest }: NewImage): { descriptor: Descriptor; bytes: Uint8Array } | undefined {
  if (bytes === undefined) return undefined
  const of = { mediaType: mediaTypes.ociIndex, digest: parseDigest(digest.slice(digest.indexOf('@') + 1)) }
  const parsed = parseManifestOrIndex(bytes, { ...of, mediaType: '' }, 'the registry')
  if (parsed.kind !== 'index' || !parsed.manifests.some((each) => each.digest === manifest.digest)) return undefined
  return { descriptor: { mediaType: parsed.mediaType, digest: of.digest, size: bytes.length }, bytes }
}

/** `host/repository@digest` → the label that says where content came from. */
function sourceOf(name: string): Labels {
  const slash = name.indexOf('/')
  return { [sourceLabel(name.slice(0, slash))]: name.slice(slash + 1, name.indexOf('@')) }
}

async function writeDocument(daemon: Daemon, { digest, bytes, labels }: Document, lease: ContainerdLease): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const write = { ref: `windlass-${randomUUID()}`, digest, bytes, labels }
    const written = await daemon.callUnless(
      'ALREADY_EXISTS',
      'write a document',
      (c, options) => c.writeContent(write, options),
      lease.id,
    )
    if (written !== undefined) return
    // Somebody else's, from now on held by us as well; its labels may lack ours.
    await lease.hold({ content: digest })
    if (!(await isWhole(daemon, { digest, size: bytes.length }))) await dropContent(daemon, digest)
    else if (await labelContent(daemon, digest, labels)) return
  }
  fail({ kind: 'internal', what: `document ${digest} was collected or damaged ${ATTEMPTS} times while it was written` })
}

/** What is on record need not be on the disk: containerd syncs its database, and not the directory that the content is found in. */
async function isWhole(daemon: Daemon, document: Pick<Descriptor, 'digest' | 'size'>): Promise<boolean> {
  try {
    await readDocument(daemon, document)
    return true
  } catch (error) {
    if (isUnreadable(failureOf(error))) return false
    throw error
  }
}

/** From the record, and from the disk, or what is left there would pass for it again: so the collection is waited for. */
async function dropContent(daemon: Daemon, digest: Digest): Promise<void> {
  await daemon.callUnless('NOT_FOUND', 'delete content', ({ content }, options) => content.delete({ digest }, options))
  const id = `windlass-${randomUUID()}`
  const labels = { [gc.expire]: new Date(Date.now() + COLLECTION_MS).toISOString() }
  await daemon.call('create a lease', ({ leases }, options) => leases.create({ id, labels }, options))
  await daemon.callUnless('NOT_FOUND', 'collect', ({ leases }, options) => leases.delete({ id, sync: true }, options))
}

/** containerd's limit for a label: key and value. */
const MAX_LABEL = 4096

/**
 * Our labels beside those that are there: a diffID stays as it is; where content comes from is added to where others had it from, as far
 * as a label holds it.
 */
function besides(labels: Labels, there: Labels): Labels {
  const merged = Object.entries(labels).map(([key, value]): readonly [string, string] => {
    if (key === UNCOMPRESSED) return [key, there[key] ?? value]
    if (!key.startsWith(sourceLabel(''))) return [key, value]
    const all = [...new Set([...(there[key]?.split(',') ?? []), value])].join(',')
    return [key, key.length + all.length <= MAX_LABEL ? all : (there[key] ?? value)]
  })
  return Object.fromEntries(merged)
}
