/** What the database keeps, as values; rows become values here and nowhere else, and only if they are what they must be. */
import { z } from 'zod'
import type { DiffId, Digest, LayerId } from '../../oci/digest.ts'
import type { Descriptor, ImageConfig } from '../../oci/oci.ts'
import { diffId, digest, layerId, platform } from '../common/schemas.ts'
import type { Damage, UnpackedFacts } from '../facts.ts'
import type { Pin } from '../pins.ts'
import type { StoredImage } from '../store.ts'

/** Every uid and gid in a layer's tree, ascending; of very many, the highest. */
export type Owners = { readonly uids: readonly number[]; readonly gids: readonly number[] }

/** A committed layer, with what it takes up on disk. */
export type LayerRecord = {
  readonly id: LayerId
  readonly diffId: DiffId
  readonly parent?: LayerId
  readonly facts: UnpackedFacts
  /** Absent where an earlier version committed it, which did not look. */
  readonly owners?: Owners
  readonly usedBytes: number
  readonly inodesUsed: number
  readonly committedAt: Date
  readonly damage?: Damage
}

/** What is still asked of a layer once a row names it. */
export type LayerBrief = Omit<LayerRecord, 'owners' | 'committedAt'>

/** A published image without its names, pins and receipts, which change on their own. */
export type ImageRecord = Omit<StoredImage, 'tags' | 'digests' | 'layerIds' | 'size' | 'pins'>

/** All names of one image, newest last. */
export type ImageNames = { readonly image: Digest; readonly tags: readonly string[]; readonly digests: readonly string[] }

const count = z.int().nonnegative()
const bytes = z.instanceof(Uint8Array)
const time = z.int().transform((ms) => new Date(ms))

/** A column that holds a JSON document. */
const json = <T extends z.ZodType>(schema: T) =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text)
      } catch (error) {
        context.addIssue({ code: 'custom', message: `not JSON: ${error instanceof Error ? error.message : String(error)}` })
        return z.NEVER
      }
    })
    .pipe(schema)

const descriptor = z.object({
  mediaType: z.string(),
  digest,
  size: count,
  platform: platform.exactOptional(),
  annotations: z.record(z.string(), z.string()).exactOptional(),
}) satisfies z.ZodType<Descriptor>

const strings = z.array(z.string())

const imageConfig = z.object({
  platform,
  created: z.string().exactOptional(),
  run: z.object({
    user: z.string().exactOptional(),
    exposedPorts: strings,
    env: strings,
    entrypoint: strings,
    cmd: strings,
    volumes: strings,
    workingDir: z.string().exactOptional(),
    labels: z.record(z.string(), z.string()),
    stopSignal: z.string().exactOptional(),
  }),
  diffIds: z.array(diffId),
}) satisfies z.ZodType<ImageConfig>

const damage = z.object({ foundAt: time, differences: count, first: z.string() }) satisfies z.ZodType<Damage>

const owners = z.object({ uids: z.array(count), gids: z.array(count) }) satisfies z.ZodType<Owners>

export const layerRow = z
  .object({
    id: layerId,
    diff_id: diffId,
    parent: layerId.nullable(),
    diff_size: count,
    entries: count,
    whiteouts: count,
    used_bytes: count,
    inodes_used: count,
    committed_at: time,
    blob: json(descriptor).nullable(),
    owners: json(owners).nullable(),
    damage: json(damage).nullable(),
  })
  .transform(
    (row): LayerRecord => ({
      id: row.id,
      diffId: row.diff_id,
      ...(row.parent === null ? {} : { parent: row.parent }),
      facts: {
        diffSize: row.diff_size,
        entries: row.entries,
        whiteouts: row.whiteouts,
        ...(row.blob === null ? {} : { blob: row.blob }),
      },
      ...(row.owners === null ? {} : { owners: row.owners }),
      usedBytes: row.used_bytes,
      inodesUsed: row.inodes_used,
      committedAt: row.committed_at,
      ...(row.damage === null ? {} : { damage: row.damage }),
    }),
  )

export const imageRow = z
  .object({
    id: digest,
    manifest: json(descriptor),
    config: json(imageConfig),
    config_bytes: bytes,
    manifest_bytes: bytes,
    index_bytes: bytes.nullable(),
    layers: json(z.array(descriptor)),
    pulled_at: time,
    used_at: time.nullable(),
  })
  .transform(
    (row): ImageRecord => ({
      id: row.id,
      manifest: row.manifest,
      config: row.config,
      configBytes: row.config_bytes,
      manifestBytes: row.manifest_bytes,
      ...(row.index_bytes === null ? {} : { indexBytes: row.index_bytes }),
      layers: row.layers,
      pulledAt: row.pulled_at,
      usedAt: row.used_at ?? row.pulled_at,
    }),
  )

export const pinRow = z
  .object({ image: digest, owner: z.string(), reason: z.string(), since: time, until: time.nullable() })
  .transform(({ image, until, ...pin }): { readonly image: Digest; readonly pin: Pin } => ({
    image,
    pin: { ...pin, ...(until === null ? {} : { until }) },
  }))

export const receiptsRow = z.object({ kept: z.string() })

/** A tag or digest name and the image it names. */
export const nameRow = z.object({ name: z.string(), image: digest })

export const countRow = z.object({ count })

export const editionRow = z.object({ number: count })

/** Many names in one row, each with the image it names and whether somebody asked for this very name. */
export const allNamesRow = z.object({ names: json(z.array(z.tuple([z.string(), digest, count]))) })
