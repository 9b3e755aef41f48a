/** The images of an OCI image layout (image-spec image-layout.md): `index.json` names them, `blobs/sha256/` holds all they are made of. */
import { fail } from '../failure/failure.ts'
import { type Digest, hexOf, sha256 } from '../oci/digest.ts'
import { type Descriptor, mediaTypes } from '../oci/oci.ts'
import { parseManifestOrIndex } from '../oci/parse.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import type { ArchivedDocument, ArchivedImage, Blobs, Files } from './archive.ts'
import { readDocument } from './read-document.ts'

const INDEX = 'index.json'
/** containerd and docker write the whole name here, and the tag alone into OCI's own annotation. */
const IMAGE_NAME = 'io.containerd.image.name'
const REF_NAME = 'org.opencontainers.image.ref.name'

const blobPath = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`

/** Undefined where this is no image layout. Throws bad-archive, malformed, system. */
export async function imagesOfLayout(files: Files, archive: string): Promise<readonly ArchivedImage[] | undefined> {
  const bytes = await readDocument(files, INDEX, archive)
  if (bytes === undefined) return undefined
  const index = parseManifestOrIndex(bytes, { mediaType: mediaTypes.ociIndex, digest: sha256(bytes) }, archive)
  if (index.kind !== 'index')
    fail({ kind: 'bad-archive', archive, entry: INDEX, reason: 'it is the manifest of an image, not an index' })
  const blobs = blobsOf(files, archive)
  return groupsOf(index.manifests).map(
    ({ names, entries }): ArchivedImage => ({
      names,
      label: entries[0]?.digest ?? '',
      open: async () => ({ root: await rootOf(entries, files, archive), blobs }),
    }),
  )
}

type Group = { readonly names: readonly string[]; readonly entries: readonly Descriptor[] }

/**
 * What the entries mean: one that comes under several names is one image, and several of one name, or without one, are one image for
 * several platforms.
 */
function groupsOf(manifests: readonly Descriptor[]): readonly Group[] {
  const named = manifests.map((entry) => ({ name: nameOf(entry), entry }))
  const byName = [...Map.groupBy(named, ({ name }) => name)].map(([name, group]) => ({
    names: name === undefined ? [] : [name],
    entries: distinct(group.map(({ entry }) => entry)),
  }))
  const split = byName.flatMap(({ names, entries }) =>
    names.length > 0 || entries.every(({ platform }) => platform !== undefined)
      ? [{ names, entries }]
      : entries.map((entry) => ({ names, entries: [entry] })),
  )
  const same = ({ entries }: Group): string => entries.map(({ digest }) => digest).join(' ')
  return [...Map.groupBy(split, same).values()].flatMap((group) => {
    const [first] = group
    return first === undefined ? [] : [{ names: group.flatMap(({ names }) => names), entries: first.entries }]
  })
}

const distinct = (entries: readonly Descriptor[]): readonly Descriptor[] => [
  ...new Map(entries.map((entry) => [entry.digest, entry])).values(),
]

/** In normal form; a bare tag, or a bare word, names no repository. */
function nameOf({ annotations = {} }: Descriptor): string | undefined {
  const name = annotations[IMAGE_NAME] ?? annotations[REF_NAME] ?? ''
  return annotations[IMAGE_NAME] === undefined && !/[/:]/.test(name) ? undefined : normalName(name)
}

/** Undefined for a text that is no reference. */
export function normalName(text: string): string | undefined {
  try {
    return formatReference(parseReference(text))
  } catch {
    // Whoever wants the image is told that it has no name, and can give it one.
    return undefined
  }
}

/** The manifest or index of the only entry; where there are several, an index of them is made. */
async function rootOf(entries: readonly Descriptor[], files: Files, archive: string): Promise<ArchivedDocument> {
  const [entry, ...more] = entries
  if (entry === undefined || more.length > 0) {
    const manifests = entries.map(({ annotations: _, ...descriptor }) => descriptor)
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
    return { descriptor: { mediaType: mediaTypes.ociIndex, digest: sha256(bytes), size: bytes.length }, bytes }
  }
  const { mediaType, digest, size } = entry
  const bytes = (await readDocument(files, blobPath(digest), archive)) ?? lacks(archive, digest)
  const got = sha256(bytes)
  if (got !== digest) fail({ kind: 'digest-mismatch', what: 'manifest', want: digest, got, from: archive })
  if (bytes.length !== size) fail({ kind: 'size-mismatch', digest, want: size, got: bytes.length, from: archive })
  return { descriptor: { mediaType, digest, size }, bytes }
}

const blobsOf = (files: Files, archive: string): Blobs => ({
  read: async (digest, offset, length, { signal }) => {
    signal.throwIfAborted()
    return await ((await files.find(blobPath(digest))) ?? lacks(archive, digest)).read(offset, length)
  },
})

/** Throws bad-archive. */
export const lacks = (archive: string, digest: Digest): never =>
  fail({ kind: 'bad-archive', archive, reason: `it lacks ${digest}, which the image is made of` })
