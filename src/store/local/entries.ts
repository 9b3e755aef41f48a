/**
 * What the database says, in the words of containers/storage: the entries of its layers.json (layers.go, `Layer`) and images.json
 * (images.go, `Image`). Everything in them can be told from the database, and the database from them and the documents beside them, but
 * for pins, times of use and what was found damaged. podman 4.3 writes the same for the same image, without the flags.
 */

import { type Digest, hexOf, sha256 } from '../../oci/digest.ts'
import { isGoTime } from '../common/readable.ts'
import type { ImageRecord, LayerRecord } from './records.ts'

export type LayerEntry = {
  readonly id: string
  readonly parent?: string
  readonly created: string
  readonly 'compressed-diff-digest'?: string
  readonly 'compressed-size'?: number
  readonly 'diff-digest': string
  readonly 'diff-size': number
  readonly compression?: number
  readonly uidset?: readonly number[]
  readonly gidset?: readonly number[]
  readonly flags: { readonly windlass: LayerFlags }
}

/**
 * What containers/storage has no field for and a rebuild of the database needs (rebuild.ts). `flags` is its own place for what a program
 * wants to remember of a layer or an image: it reads those it knows (`incomplete`), and leaves the others alone.
 */
type LayerFlags = {
  readonly version: number
  readonly entries: number
  readonly whiteouts: number
  readonly usedBytes: number
  readonly inodesUsed: number
  readonly blobType?: string
}

/** Counts what a rebuild must know of to read the flags; a root with a higher one is not opened. */
export const RECORDS_VERSION = 1

/** A document of an image as containers/storage keys it. */
export type BigData = { readonly key: string; readonly digest: Digest; readonly bytes: Uint8Array }

/** How a blob is compressed, in containers/storage's numbers (pkg/archive), by how its media type ends. */
const COMPRESSIONS = new Map([
  ['tar', 0],
  ['gzip', 2],
  ['zstd', 4],
])

export function layerEntry(layer: LayerRecord): LayerEntry {
  const { id, diffId, parent, facts, owners, committedAt } = layer
  return {
    id,
    ...(parent === undefined ? {} : { parent }),
    created: committedAt.toISOString(),
    ...(facts.blob === undefined ? {} : blobIn(facts.blob)),
    'diff-digest': diffId,
    'diff-size': facts.diffSize,
    ...(owners === undefined ? {} : { uidset: owners.uids, gidset: owners.gids }),
    flags: { windlass: flagsOf(layer) },
  }
}

function flagsOf({ facts: { entries, whiteouts, blob }, usedBytes, inodesUsed }: LayerRecord): LayerFlags {
  const blobType = blob === undefined ? {} : { blobType: blob.mediaType }
  return { version: RECORDS_VERSION, entries, whiteouts, usedBytes, inodesUsed, ...blobType }
}

/** A blob of a kind that only later versions know is left out: its layer is none the worse, and the store must open. */
function blobIn({ mediaType, digest, size }: NonNullable<LayerRecord['facts']['blob']>): Partial<LayerEntry> {
  const compression = COMPRESSIONS.get(/[a-z]+$/.exec(mediaType)?.[0] ?? '')
  if (compression === undefined) return {}
  return {
    'compressed-diff-digest': digest,
    'compressed-size': size,
    // That there is none goes without saying.
    ...(compression === 0 ? {} : { compression }),
  }
}

/** An image's entry as text, but for its names, which change on their own. */
export type NamelessText = { readonly before: string; readonly after: string }

export function imageText(image: ImageRecord, layer: string | undefined): NamelessText {
  const documents = bigDataOf(image)
  const before = {
    id: hexOf(image.id),
    // What the reference led to.
    digest: image.indexBytes === undefined ? image.manifest.digest : sha256(image.indexBytes),
  }
  const after = {
    ...(layer === undefined ? {} : { layer }),
    // How long the signatures in the one signature file are; images.json of podman says the same where there are none.
    metadata: JSON.stringify({ 'signatures-sizes': { [image.manifest.digest]: [] } }),
    'big-data-names': documents.map(({ key }) => key),
    'big-data-sizes': Object.fromEntries(documents.map(({ key, bytes }) => [key, bytes.length])),
    'big-data-digests': Object.fromEntries(documents.map(({ key, digest }) => [key, digest])),
    created: createdOf(image),
    flags: { windlass: { version: RECORDS_VERSION, pulledAt: image.pulledAt.toISOString() } },
  }
  return { before: JSON.stringify(before).slice(0, -1), after: JSON.stringify(after).slice(1) }
}

/** The whole entry. */
export const namedText = ({ before, after }: NamelessText, names: readonly string[] = []): string =>
  names.length === 0 ? `${before},${after}` : `${before},"names":${JSON.stringify(names)},${after}`

const NOTHING = new Uint8Array()
const DIGEST_OF_NOTHING = sha256(NOTHING)

/** An image's documents; readers look a manifest or an index up by its digest, and take `manifest` for the one that runs here. */
export function bigDataOf({
  id,
  manifest,
  configBytes,
  manifestBytes,
  indexBytes,
}: Pick<ImageRecord, 'id' | 'manifest' | 'configBytes' | 'manifestBytes' | 'indexBytes'>): readonly BigData[] {
  const index = indexBytes === undefined ? undefined : sha256(indexBytes)
  return [
    { key: id, digest: id, bytes: configBytes },
    ...(index === undefined || indexBytes === undefined ? [] : [{ key: `manifest-${index}`, digest: index, bytes: indexBytes }]),
    { key: `manifest-${manifest.digest}`, digest: manifest.digest, bytes: manifestBytes },
    { key: 'manifest', digest: manifest.digest, bytes: manifestBytes },
    { key: `signature-${hexOf(manifest.digest)}`, digest: DIGEST_OF_NOTHING, bytes: NOTHING },
  ]
}

/** The file a document is in (images.go, `makeBigDataBaseName`). */
export const bigDataFile = (key: string): string => (/^[.0-9a-z]+$/.test(key) ? key : `=${Buffer.from(key).toString('base64')}`)

/**
 * When the image was made, as its config says; containers/storage, too, takes the time of the pull where it does not say. Go parses the
 * field strictly (time.RFC3339) and fails with the whole file, so what is not quite such a time is taken for none.
 */
function createdOf({ config, pulledAt }: Pick<ImageRecord, 'config' | 'pulledAt'>): string {
  const { created = '' } = config
  return isGoTime(created) ? created : pulledAt.toISOString()
}
