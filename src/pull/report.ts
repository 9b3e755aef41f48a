/** What one pull was, told once it has ended: made from its events, so that whoever has heard them can tell the same. */
import { z } from 'zod'
import { formatPlatform } from '../platform/platform.ts'
import { CLIENTS, LAYER_ORIGINS, type LayerReport, type PullEvent, type PullStep, STANDS, type UnfinishedLayer } from './pull.ts'
import { failureSentence } from './verdict.ts'

const ms = z.number().nonnegative()
/** What was not told from the beginning: lines that are older lack it. */
const laterMs = ms.default(0)
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
  startMs: laterMs,
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

const unfinishedLayer = z.object({
  layer: count,
  digest: z.string(),
  size: count,
  bytes: count,
  state: z.enum(STANDS),
  ms,
}) satisfies z.ZodType<UnfinishedLayer>

/** As it is written down. */
export const pullReport = z.object({
  id: z.string(),
  reference: z.string(),
  /** Of the first who asked. */
  client: z.enum(CLIENTS),
  /** Unix time in milliseconds. */
  startedAtMs: z.int(),
  /** From then on to the end, the queue too. */
  ms,
  queuedMs: ms,
  /** Absent where it ended before: the platform, who answered, the image. */
  platform: z.string().exactOptional(),
  host: z.string().exactOptional(),
  imageId: z.string().exactOptional(),
  /** Of `resolveMs`, `tokenMs` went into getting a token. */
  resolveMs: ms,
  tokenMs: ms,
  roomMs: laterMs,
  /** Those that ended, in the order of the image, and how many it has. */
  layers: z.array(reportedLayer),
  layerCount: count,
  /** Those that were on their way when it failed. */
  unfinished: z.array(unfinishedLayer).default([]),
  syncMs: ms,
  publishMs: ms,
  /** One sentence: the bottleneck, or what it failed of. */
  verdict: z.string(),
  /** `cause`: in a few words, where somebody knows it. */
  failure: z.object({ kind: z.string(), message: z.string(), cause: z.string().exactOptional() }).exactOptional(),
})
export type PullReport = z.infer<typeof pullReport>
export type ReportedLayer = PullReport['layers'][number]

/** What a listener knows that has not heard how the pull began, and how it ended. */
export type Asked = Pick<PullReport, 'reference' | 'ms'>

/** `events` as a listener gets them from the moment of joining, progress or none. */
export function reportOf(asked: Asked, events: readonly PullEvent[], failure?: PullReport['failure']): PullReport {
  const begun = events.find((event) => event.type === 'begun')
  const resolved = events.find((event) => event.type === 'resolved')
  const plan = events.find((event) => event.type === 'planned')?.plan
  const done = events.find((event) => event.type === 'done')
  const stopped = events.find((event) => event.type === 'stopped')
  const report = {
    id: begun?.id ?? '',
    reference: begun?.reference ?? asked.reference,
    client: begun?.client ?? 'control',
    startedAtMs: begun?.startedAt.getTime() ?? Math.round(Date.now() - asked.ms),
    ms: (done ?? stopped)?.ms ?? asked.ms,
    ...(resolved === undefined ? {} : { platform: formatPlatform(resolved.platform), host: resolved.host }),
    ...(done === undefined ? {} : { imageId: done.imageId }),
    ...timesOf(events),
    layers: layersOf(events),
    layerCount: plan?.layers.length ?? 0,
    unfinished: stopped?.layers.map((layer) => ({ ...layer })) ?? [],
  }
  if (failure === undefined) return { ...report, verdict: done?.verdict ?? '' }
  const known = stopped === undefined ? failure : { ...failure, cause: stopped.cause }
  return { ...report, verdict: failureSentence(report, known.cause ?? known.message), failure: known }
}

/** Of the step that was under way when it failed, as long as it had lasted. */
function timesOf(
  events: readonly PullEvent[],
): Pick<PullReport, 'queuedMs' | 'resolveMs' | 'tokenMs' | 'roomMs' | 'syncMs' | 'publishMs'> {
  const resolved = events.find((event) => event.type === 'resolved')
  const sealed = events.find((event) => event.type === 'sealed')
  const stopped = events.find((event) => event.type === 'stopped')
  const underWay = (step: PullStep): number => (stopped?.step === step ? stopped.stepMs : 0)
  return {
    queuedMs: (resolved ?? stopped)?.queuedMs ?? 0,
    resolveMs: resolved?.ms ?? underWay('resolving'),
    tokenMs: (resolved ?? stopped)?.tokenMs ?? 0,
    roomMs: events.find((event) => event.type === 'room')?.ms ?? underWay('room'),
    syncMs: sealed?.syncMs ?? 0,
    publishMs: sealed?.publishMs ?? underWay('sealing'),
  }
}

function layersOf(events: readonly PullEvent[]): ReportedLayer[] {
  const plan = events.find((event) => event.type === 'planned')?.plan
  return events
    .flatMap((event) => (event.type === 'layer' ? [event] : []))
    .toSorted((one, other) => one.layer - other.layer)
    .map(({ layer, report }) => ({
      layer,
      digest: plan?.layers[layer]?.blob.digest ?? '',
      ...report,
      warnings: [...report.warnings],
    }))
}
