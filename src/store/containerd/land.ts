/**
 * An image into containerd: snapshots, documents, records, in the order in which each is held by what comes next. A lease holds them all
 * until the records do.
 */
import { randomUUID } from 'node:crypto'
import { fail } from '../../failure/failure.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Descriptor, mediaTypes } from '../../oci/oci.ts'
import { parseManifestOrIndex } from '../../oci/parse.ts'
import type { NewImage } from '../store.ts'
import type { Daemon } from './daemon.ts'
import type { ContainerdLease } from './leases.ts'
import { chainIdOf, gc, layerIdsOf, MANAGED, PINNED, sourceLabel } from './names.ts'

type Labels = Readonly<Record<string, string>>
type Document = { readonly digest: Digest; readonly bytes: Uint8Array; readonly labels: Labels }

/** Collected while it was being written: once is bad luck. */
const ATTEMPTS = 3

/** Writes the documents and names the image. Its snapshots must be committed and held by the lease. Throws runtime. */
export async function landImage(daemon: Daemon, image: NewImage, lease: ContainerdLease, isPinned: boolean): Promise<Descriptor> {
  const { target, documents } = documentsOf(image)
  for (const document of documents) await writeDocument(daemon, document, lease)
  const labels = { ...MANAGED, ...(isPinned ? PINNED : {}) }
  for (const name of image.tag === undefined ? [image.digest] : [image.digest, image.tag]) {
    await nameImage(daemon, { name, target, labels }, lease)
  }
  return target
}

/** Each document after those it leads to; and the one the image's names are for. */
function documentsOf(image: NewImage): { readonly target: Descriptor; readonly documents: readonly Document[] } {
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
    labels: { ...source, [gc.config]: image.id },
  }
  const index = indexOver(image)
  if (index === undefined) return { target: image.manifest, documents: [config, manifest] }
  const labels = { ...source, [gc.manifest(0)]: image.manifest.digest }
  return {
    target: index.descriptor,
    documents: [config, manifest, { digest: index.descriptor.digest, bytes: index.bytes, labels }],
  }
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
    const paths = Object.keys(labels).map((label) => `labels.${label}`)
    const updated = await daemon.callUnless('NOT_FOUND', 'label a document', ({ content }, options) =>
      content.update({ info: { digest, labels }, updateMask: { paths } }, options),
    )
    if (updated !== undefined) return
  }
  fail({ kind: 'internal', what: `document ${digest} was collected ${ATTEMPTS} times while it was written` })
}

type Naming = { readonly name: string; readonly target: Descriptor; readonly labels: Labels }

/** Creates the record, or moves it here from wherever it was. */
async function nameImage(daemon: Daemon, { name, target, labels }: Naming, lease: ContainerdLease): Promise<void> {
  const { mediaType, digest, size } = target
  const image = { name, target: { mediaType, digest, size }, labels }
  const created = await daemon.callUnless(
    'ALREADY_EXISTS',
    'create an image',
    ({ images }, options) => images.create({ image }, options),
    lease.id,
  )
  if (created !== undefined) return
  const paths = ['target', ...Object.keys(labels).map((label) => `labels.${label}`)]
  await daemon.call(
    'update an image',
    ({ images }, options) => images.update({ image, updateMask: { paths } }, options),
    lease.id,
  )
}
