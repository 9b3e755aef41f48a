/** What both stores write down and read again, checked. */
import { z } from 'zod'
import { type DiffId, type Digest, isDigest, isLayerId, type LayerId } from '../../oci/digest.ts'
import type { Platform } from '../../oci/oci.ts'

export const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a digest')
export const diffId = z.custom<DiffId>((value) => typeof value === 'string' && isDigest(value), 'not a diffID')
export const layerId = z.custom<LayerId>((value) => typeof value === 'string' && isLayerId(value), 'not a layer id')

export const platform = z.object({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().exactOptional(),
  osVersion: z.string().exactOptional(),
}) satisfies z.ZodType<Platform>
