/**
 * Images and layers anew from what podman and CRI-O read of the store, where the database is gone: layers.json and images.json repeat it, and
 * are written, synced, with the transaction that follows the sync of the layers they name. So what they name is on disk. Pins, when
 * images were last used, and marks of damage are nowhere else: they are lost.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { failureOf } from '../../failure/failure.ts'
import { type Digest, isDigest, isLayerId, type LayerId, layerIdAbove, layerIds, parseDigest, sha256 } from '../../oci/digest.ts'
import { parseConfig, parseManifestOrIndex } from '../../oci/parse.ts'
import { AT, cstr } from '../../sys/libc.ts'
import { measureTree } from '../../sys/tree.ts'
import type { StoreLog } from '../common/log.ts'
import type { NewImage } from '../store.ts'
import { exists } from './commit.ts'
import { bigDataFile, blobOf, factsIn } from './entries.ts'
import { readForeign } from './foreign.ts'
import { diffDir, type Layout, tarSplitFile } from './layout.ts'
import type { Ledger } from './ledger.ts'
import { OwnerCount } from './owners.ts'
import type { LayerRecord } from './records.ts'

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value))
const layerId = z.custom<LayerId>((value) => typeof value === 'string' && isLayerId(value))
const count = z.int().nonnegative()

const layerEntry = z.object({
  id: layerId,
  parent: layerId.optional(),
  created: z.iso.datetime().transform((text) => new Date(text)),
  'compressed-diff-digest': digest.optional(),
  'compressed-size': count.optional(),
  compression: count.optional(),
  'diff-digest': z.custom<LayerRecord['diffId']>((value) => typeof value === 'string' && isDigest(value)),
  'diff-size': count,
  uidset: z.array(count).optional(),
  gidset: z.array(count).optional(),
  metadata: z.string().optional(),
})
const imageEntry = z.object({ id: z.string().regex(/^[0-9a-f]{64}$/), digest, names: z.array(z.string()).default([]) })

export type Rebuild = { readonly at: Layout; readonly ledger: Ledger; readonly log: StoreLog }

/** Records what the files name and what is there of it. Each entry that cannot be used is left out alone. Throws no-space, system. */
export function rebuild({ at, ledger, log }: Rebuild): void {
  const layers = layersIn(at)
  const known = new Map(layers.map((layer) => [layer.id, layer]))
  const images = imagesIn(at, known, log)
  if (images.length === 0) return
  ledger.transaction(() => {
    for (const { image, pulledAt } of images) {
      const chain = layerIds(image.config.diffIds).flatMap((id) => known.get(id) ?? [])
      ledger.publish(image, chain, pulledAt)
    }
  })
  const lost = 'pins, times of use and marks of damage'
  log.warn(
    { images: new Set(images.map(({ image }) => image.id)).size, layers: layers.length, lost },
    'images and layers are rebuilt from layers.json and images.json',
  )
}

/** Those that are there, parents first: an entry counts only if its id is the one its parent and its diffID give. */
function layersIn(at: Layout): readonly LayerRecord[] {
  const known = new Set<LayerId>()
  return entriesIn(join(at.layers, 'layers.json')).flatMap((entry) => {
    const { data } = layerEntry.safeParse(entry)
    if (data === undefined) return []
    const { id, parent, created, uidset, gidset, metadata } = data
    const isSound = id === layerIdAbove(parent, data['diff-digest']) && (parent === undefined || known.has(parent))
    if (!isSound || !exists(diffDir(at, id)) || !exists(tarSplitFile(at, id))) return []
    known.add(id)
    const { entries, whiteouts, ...used } = factsIn(metadata) ?? measured(at, id)
    const blob = blobOf(data)
    return {
      id,
      diffId: data['diff-digest'],
      ...(parent === undefined ? {} : { parent }),
      facts: { diffSize: data['diff-size'], entries, whiteouts, ...(blob === undefined ? {} : { blob }) },
      ...(uidset === undefined || gidset === undefined ? {} : { owners: { uids: uidset, gids: gidset } }),
      ...used,
      committedAt: created,
    }
  })
}

/** For an entry of an earlier version: its counts are of the tree, which has no whiteout twice. */
function measured(
  at: Layout,
  id: LayerId,
): Pick<LayerRecord, 'usedBytes' | 'inodesUsed'> & { entries: number; whiteouts: number } {
  const owners = new OwnerCount()
  const { bytes, inodes } = measureTree(AT.FDCWD, cstr(diffDir(at, id)), (stat) => owners.add(stat))
  return { usedBytes: bytes, inodesUsed: inodes, entries: Math.max(0, inodes - 1), whiteouts: 0 }
}

type Rebuilt = { readonly image: NewImage; readonly pulledAt: Date }

/** One for each name: an image is published anew by all of them, the oldest first, as images.json has the newest first. */
function imagesIn(at: Layout, layers: ReadonlyMap<LayerId, LayerRecord>, log: StoreLog): readonly Rebuilt[] {
  return entriesIn(join(at.images, 'images.json')).flatMap((entry) => {
    const { data } = imageEntry.safeParse(entry)
    if (data === undefined) return []
    try {
      const { named, pulledAt } = imageFrom(at, data)
      const [first] = named
      if (first === undefined || !layerIds(first.config.diffIds).every((id) => layers.has(id))) return []
      return named.map((image) => ({ image, pulledAt }))
    } catch (error) {
      log.error({ image: data.id, failure: failureOf(error) }, 'the documents of this image are damaged: pull it again')
      return []
    }
  })
}

/** The image as it would be published under each of its names; its documents must have the digests they are named by. */
function imageFrom(
  at: Layout,
  { id, digest: root, names }: z.output<typeof imageEntry>,
): { named: readonly NewImage[]; pulledAt: Date } {
  const directory = join(at.images, id)
  const read = (key: string, want: Digest): Uint8Array => {
    const bytes = Uint8Array.from(readFileSync(join(directory, bigDataFile(key))))
    if (sha256(bytes) !== want) throw new Error(`${key} is not what its name says`)
    return bytes
  }
  const manifestBytes = Uint8Array.from(readFileSync(join(directory, 'manifest')))
  const manifestDigest = sha256(manifestBytes)
  const parsed = parseManifestOrIndex(manifestBytes, { mediaType: '', digest: manifestDigest }, 'this node')
  if (parsed.kind !== 'manifest') throw new Error('its manifest is none')
  const imageId = parseDigest(`sha256:${id}`)
  const configBytes = read(imageId, imageId)
  const config = parseConfig(configBytes, { digest: imageId }, 'this node', parsed.layers.length)
  const image = {
    id: imageId,
    manifest: { mediaType: parsed.mediaType, digest: manifestDigest, size: manifestBytes.length },
    config,
    configBytes,
    manifestBytes,
    layers: parsed.layers,
    ...(root === manifestDigest ? {} : { indexBytes: read(`manifest-${root}`, root) }),
  }
  const named = names.toReversed().map((name) => {
    const isDigestName = name.includes('@')
    const repository = isDigestName ? name.slice(0, name.indexOf('@')) : name.slice(0, name.lastIndexOf(':'))
    return { ...image, ...(isDigestName ? {} : { tag: name }), digest: isDigestName ? name : `${repository}@${root}` }
  })
  return { named, pulledAt: statSync(join(directory, bigDataFile(imageId))).mtime }
}

/** The entries of one of the files; none where it is not there, or not JSON. */
function entriesIn(file: string): readonly unknown[] {
  try {
    const bytes = readForeign(file)
    return bytes === undefined ? [] : z.array(z.unknown()).parse(JSON.parse(bytes.toString()))
  } catch {
    return []
  }
}
