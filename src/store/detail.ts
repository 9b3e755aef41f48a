/** Everything known about one image that is here, as a plain value: what `windlass inspect` shows, mounts, and makes bundles of. */
import { fail } from '../failure/failure.ts'
import type { Descriptor, ImageConfig } from '../oci/oci.ts'
import { formatPlatform } from '../platform/platform.ts'
import { expiresAt } from './expiry.ts'
import type { Damage, UnpackedFacts } from './facts.ts'
import { isPinned, type Pin, standing } from './pins.ts'
import type { Receipt } from './receipts.ts'
import type { Store, StoredImage } from './store.ts'

/** A committed layer of an image; `short` leads from `overlayDir` to its lowerdir in at most 28 bytes. */
export type ImageLayer = {
  readonly blob: Descriptor
  readonly diffId: string
  readonly layerId: string
  readonly diff: string
  readonly short: string
  /** Absent where a runtime unpacked it. */
  readonly diffSize?: number
  readonly entries?: number
  readonly whiteouts?: number
  /** Set where it is known to be damaged. */
  readonly damage?: Damage
}

/** Layers are base first. */
export type ImageDetail = {
  readonly id: string
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  readonly manifest: Descriptor
  readonly platform: string
  readonly size: number
  readonly pulledAt: Date
  readonly usedAt: Date
  readonly pinned: boolean
  /** Those that have time left. */
  readonly pins: readonly Pin[]
  /** Set where the runtime removes it by itself from then on. */
  readonly expiresAt?: Date
  /** Who pulled it, newest first; from `receiptsSince` on none is missing, and where that is absent, what came before is lost. */
  readonly receipts: readonly Receipt[]
  readonly receiptsSince?: Date
  readonly config: ImageConfig
  /** The documents as they came from the registry. */
  readonly configJson: string
  readonly manifestJson: string
  readonly overlayDir: string
  readonly layers: readonly ImageLayer[]
}

/** Throws internal for an image whose layers are not here: a store does not show such an image. */
export async function imageDetail(
  store: Pick<Store, 'layer' | 'overlayDir' | 'receipts'>,
  image: StoredImage,
): Promise<ImageDetail> {
  const stored = await Promise.all(image.layerIds.map((id) => store.layer(id)))
  const layers = image.layerIds.map((layerId, position): ImageLayer => {
    const layer = stored[position]
    const blob = image.layers[position]
    const diffId = image.config.diffIds[position]
    if (layer === undefined || blob === undefined || diffId === undefined)
      fail({ kind: 'internal', what: `image ${image.id} lacks layer ${layerId}` })
    const { diff, short, facts, damage } = layer
    const known = { blob, diffId, layerId, diff, short, ...(facts === undefined ? {} : figuresOf(facts)) }
    return damage === undefined ? known : { ...known, damage }
  })
  const { receipts, since } = await store.receipts.of(image)
  const expires = expiresAt(image)
  const { id, tags, digests, manifest, size, pulledAt, usedAt, config } = image
  return {
    id,
    tags,
    digests,
    manifest,
    platform: formatPlatform(config.platform),
    size,
    pulledAt,
    usedAt,
    pinned: isPinned(image),
    pins: standing(image.pins),
    ...(expires === undefined ? {} : { expiresAt: expires }),
    receipts,
    ...(since === undefined ? {} : { receiptsSince: since }),
    config,
    configJson: Buffer.from(image.configBytes).toString(),
    manifestJson: Buffer.from(image.manifestBytes).toString(),
    overlayDir: store.overlayDir,
    layers,
  }
}

const figuresOf = ({ diffSize, entries, whiteouts }: UnpackedFacts) => ({ diffSize, entries, whiteouts })
