/** What one pull was, told once it has ended: made from its events, so that whoever has heard them can tell the same. */
import { z } from 'zod'
import { formatPlatform } from '../platform/platform.ts'
import { CLIENTS, LAYER_ORIGINS, type LayerReport, type PullEvent } from './pull.ts'
import { failureSentence } from './verdict.ts'

const ms = z.number().nonnegative()
const count = z.int().nonnegative()

const reportedLayer = z.object({
  /** Position in the manifest, from 0. */
  layer: count,
  digest: z.string(),
  origin: z.enum(LAYER_ORIGINS),
  host: z.string().exactOptional(),
  blobSize: count,
  diffSize: count,
  entries: count,
  whiteouts: count,
  queuedMs: ms,
  networkMs: ms,
  unpackMs: ms,
  waitMs: ms,
  inflateMs: ms,
  hashMs: ms,
  writeMs: ms,
  belowMs: ms,
  commitMs: ms,
  attempts: count,
  warnings: z.array(z.string()),
}) satisfies z.ZodType<LayerReport>

/** As it is written down. */
export const pullReport = z.object({
  id: z.string(),
  reference: z.string(),
  /** Of the first who asked. */
  client: z.enum(CLIENTS),
  /** Unix time in milliseconds. */
  startedAtMs: z.int(),
  ms,
  queuedMs: ms,
  /** Absent where it ended before: the platform, who answered, the image. */
  platform: z.string().exactOptional(),
  host: z.string().exactOptional(),
  imageId: z.string().exactOptional(),
  /** Of `resolveMs`, `tokenMs` went into getting a token. */
  resolveMs: ms,
  tokenMs: ms,
  /** Those that ended, in the order of the image, and how many it has. */
  layers: z.array(reportedLayer),
  layerCount: count,
  syncMs: ms,
  publishMs: ms,
  /** One sentence: the bottleneck, or what it failed of. */
  verdict: z.string(),
  failure: z.object({ kind: z.string(), message: z.string() }).exactOptional(),
})
export type PullReport = z.infer<typeof pullReport>
export type ReportedLayer = PullReport['layers'][number]

/** Which pull this is. */
export type Pulled = Pick<PullReport, 'id' | 'reference' | 'client' | 'ms'> & { readonly startedAt: Date }

/** `events` as a listener gets them from the moment of joining, progress or none. */
export function reportOf(
  { startedAt, ...pulled }: Pulled,
  events: readonly PullEvent[],
  failure?: PullReport['failure'],
): PullReport {
  const resolved = events.find((event) => event.type === 'resolved')
  const plan = events.find((event) => event.type === 'planned')?.plan
  const sealed = events.find((event) => event.type === 'sealed')
  const done = events.find((event) => event.type === 'done')
  const layers = events
    .flatMap((event) => (event.type === 'layer' ? [event] : []))
    .toSorted((one, other) => one.layer - other.layer)
    .map(({ layer, report }) => ({
      layer,
      digest: plan?.layers[layer]?.blob.digest ?? '',
      ...report,
      warnings: [...report.warnings],
    }))
  const report = {
    ...pulled,
    startedAtMs: startedAt.getTime(),
    queuedMs: resolved?.queuedMs ?? 0,
    ...(resolved === undefined ? {} : { platform: formatPlatform(resolved.platform), host: resolved.host }),
    ...(done === undefined ? {} : { imageId: done.imageId }),
    resolveMs: resolved?.ms ?? 0,
    tokenMs: resolved?.tokenMs ?? 0,
    layers,
    layerCount: plan?.layers.length ?? 0,
    syncMs: sealed?.syncMs ?? 0,
    publishMs: sealed?.publishMs ?? 0,
  }
  if (failure === undefined) return { ...report, verdict: done?.verdict ?? '' }
  return { ...report, verdict: failureSentence(report, failure.message), failure }
}
