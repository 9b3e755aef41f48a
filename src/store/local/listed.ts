/**
 * layers.json and images.json read back, with the documents beside them: what a database that was lost can be made of again. They are
 * another's to damage as the database is, so each entry stands alone, and one that does not fit its documents or its place is left out.
 *
 * Both files are written after the sync that put the layers they name on disk, and are on disk themselves before they take their place
 * (catalogue.ts), so what they name was complete once. Whether it still is, recovery looks.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { fail, failureOf } from '../../failure/failure.ts'
import { digestOfHex, isDigest, isLayerId, layerIdAbove, parseDiffId, sha256 } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/oci.ts'
import { parseConfig, parseManifestOrIndex } from '../../oci/parse.ts'
import { AT, cstr } from '../../sys/libc.ts'
import { measureTree } from '../../sys/tree.ts'
import { bigDataFile, RECORDS_VERSION } from './entries.ts'
import { isAbsence, readForeign } from './foreign.ts'
import { diffDir, type Layout } from './layout.ts'
import type { ImageRecord, LayerRecord } from './records.ts'

/** An image as it is listed: `names` newest first, `led` is the digest that its reference led to. */
export type ListedImage = { readonly image: ImageRecord; readonly names: readonly string[]; readonly led: string }
export type Listed = {
  readonly layers: readonly LayerRecord[]
  readonly images: readonly ListedImage[]
  /** Ids of images that are listed and cannot be told from what is there. */
  readonly unreadable: readonly string[]
}

const count = z.int().nonnegative()
const time = z.string().transform((text, context) => {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) context.addIssue({ code: 'custom', message: 'not a time' })
  return at
})

const layerFlags = z.object({
  entries: count,
  whiteouts: count,
  usedBytes: count,
  inodesUsed: count,
  blobType: z.string().exactOptional(),
})
const layerEntry = z.object({
  id: z.string().refine(isLayerId),
  parent: z.string().refine(isLayerId).exactOptional(),
  created: time,
  'compressed-diff-digest': z.string().refine(isDigest).exactOptional(),
  'compressed-size': count.exactOptional(),
  'diff-digest': z.string().refine(isDigest),
  'diff-size': count,
  uidset: z.array(count).exactOptional(),
  gidset: z.array(count).exactOptional(),
  flags: z.object({ windlass: layerFlags }).exactOptional(),
})
const imageEntry = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  digest: z.string().refine(isDigest),
  names: z.array(z.string()).default([]),
  flags: z.object({ windlass: z.object({ pulledAt: time }) }).exactOptional(),
})

/** What cannot be read is not there. Throws system. */
export function readListed(at: Layout): Listed {
  const [layers, images] = filesOf(at).map(arrayIn)
  const read = (images ?? []).map((entry) => imageIn(at, entry))
  return {
    layers: (layers ?? []).flatMap((entry) => layerIn(at, entry) ?? []),
    images: read.flatMap((each) => (typeof each === 'string' ? [] : [each])),
    unreadable: read.flatMap((each) => (typeof each === 'string' ? [each] : [])),
  }
}

/**
 * Throws unsupported where a newer windlass has written the files. In a string this text would have its quotes escaped, so nothing else
 * is taken for it, and thousands of entries need not be parsed.
 */
export function checkVersion(at: Layout): void {
  for (const file of filesOf(at)) {
    for (const [, version] of (readForeign(file)?.toString('latin1') ?? '').matchAll(/"windlass":\{"version":(\d+)/g)) {
      if (Number(version) <= RECORDS_VERSION) continue
      fail({
        kind: 'unsupported',
        what: 'store records',
        mediaType: `version ${version}`,
        hint: `${file} was written by a newer windlass, this one knows versions up to ${RECORDS_VERSION}; use that one, or another --root`,
      })
    }
  }
}

const filesOf = (at: Layout): readonly [layers: string, images: string] => [
  join(at.layers, 'layers.json'),
  join(at.images, 'images.json'),
]

function arrayIn(file: string): readonly unknown[] {
  try {
    return z.array(z.unknown()).parse(JSON.parse(readForeign(file)?.toString() || '[]'))
  } catch (error) {
    // Torn, or another's: it is no record then, and is written anew.
    if (error instanceof SyntaxError || error instanceof z.ZodError) return []
    throw error
  }
}

function layerIn(at: Layout, entry: unknown): LayerRecord | undefined {
  const { data } = layerEntry.safeParse(entry)
  if (data === undefined) return undefined
  const diffId = parseDiffId(data['diff-digest'])
  if (layerIdAbove(data.parent, diffId) !== data.id) return undefined
  const owners =
    data.uidset === undefined || data.gidset === undefined ? {} : { owners: { uids: data.uidset, gids: data.gidset } }
  const flags = data.flags?.windlass ?? measured(at, data.id)
  if (flags === undefined) return undefined
  const { entries, whiteouts, usedBytes, inodesUsed } = flags
  return {
    id: data.id,
    diffId,
    ...(data.parent === undefined ? {} : { parent: data.parent }),
    facts: { diffSize: data['diff-size'], entries, whiteouts, ...blobIn(data) },
    ...owners,
    usedBytes,
    inodesUsed,
    committedAt: data.created,
  }
}

function blobIn(entry: z.infer<typeof layerEntry>): { readonly blob?: Descriptor } {
  const [digest, size, mediaType] = [entry['compressed-diff-digest'], entry['compressed-size'], entry.flags?.windlass.blobType]
  return digest === undefined || size === undefined || mediaType === undefined ? {} : { blob: { mediaType, digest, size } }
}

/** What versions that wrote no flags did not write down. */
function measured(at: Layout, id: LayerRecord['id']): z.infer<typeof layerFlags> | undefined {
  try {
    const { bytes, inodes } = measureTree(AT.FDCWD, cstr(diffDir(at, id)))
    return { entries: inodes, whiteouts: 0, usedBytes: bytes, inodesUsed: inodes }
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'system' && failure.code === 'ENOENT') return undefined
    throw error
  }
}

/** The image; where it cannot be told, its id. */
function imageIn(at: Layout, entry: unknown): ListedImage | string {
  const { data } = imageEntry.safeParse(entry)
  if (data === undefined) return 'an entry without an id'
  const id = digestOfHex(data.id)
  const documentIn = (key: string): Buffer => readFileSync(join(at.images, data.id, bigDataFile(key)))
  try {
    const [configBytes, manifestBytes] = [documentIn(id), documentIn('manifest')]
    const digest = sha256(manifestBytes)
    if (sha256(configBytes) !== id) return data.id
    const indexBytes = data.digest === digest ? undefined : documentIn(`manifest-${data.digest}`)
    if (indexBytes !== undefined && sha256(indexBytes) !== data.digest) return data.id
    const manifest = parseManifestOrIndex(manifestBytes, { mediaType: '', digest }, at.images)
    if (manifest.kind !== 'manifest' || manifest.config.digest !== id) return data.id
    const pulledAt = data.flags?.windlass.pulledAt ?? new Date()
    const image: ImageRecord = {
      id,
      manifest: { mediaType: manifest.mediaType, digest, size: manifestBytes.length },
      config: parseConfig(configBytes, { digest: id }, at.images, manifest.layers.length),
      configBytes,
      manifestBytes,
      ...(indexBytes === undefined ? {} : { indexBytes }),
      layers: manifest.layers,
      pulledAt,
      usedAt: pulledAt,
    }
    return { image, names: data.names, led: data.digest }
  } catch (error) {
    const { kind } = failureOf(error)
    if (kind === 'malformed' || kind === 'unsupported' || isAbsence(error)) return data.id
    throw error
  }
}
