/** One pull, told as it happens. */
import type { Platform } from '../oci/oci.ts'
import type { Registry, Repository } from '../registry/registry.ts'
import type { Receipt } from '../store/receipts.ts'
import type { Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import { Expected, estimate } from './expected.ts'
import type { Identify } from './identity.ts'
import type { Chain, LayerWork } from './layers.ts'
import { makePlan, type PlanContext, type Planned } from './plan.ts'
import type { LayerReport, PullEvent, PullPlan, PullRequest, PullResult, PullStatus } from './pull.ts'
import type { Room } from './room.ts'
import type { StaleTags } from './stale.ts'
import { verdict } from './verdict.ts'

/** The collaborators of every pull. */
export type Crew = {
  readonly registry: Registry
  readonly store: Store
  readonly layers: LayerWork
  /** This node's, for requests that name none. */
  readonly platform: Platform
  readonly room: Room
  readonly stale: StaleTags
  /** Says who a caller is; without it no receipts are kept. */
  readonly identify: Identify | undefined
  /** The registry itself must say, for each pull, that its caller may read the image. */
  readonly recheckAccess: boolean
}

/** Whom a pull tells. */
export type Audience = {
  /** Whether anybody but the pre-puller waits for it, now. */
  isUrgent(): boolean
  /** Milliseconds since the pull began, when it was perhaps not its turn yet. */
  readonly ageMs: number
  asks(remote: Repository): void
  phase(phase: PullStatus['phase']): void
  event(event: PullEvent): void
  plan(planned: Planned): void
}

/** Resolves and plans without pulling. */
export async function planPull(crew: Crew, request: PullRequest, options: Abortable): Promise<Planned> {
  return await makePlan(planContext(crew, request, sourceOf(crew, request)), options)
}

/** Resolves, plans, brings the missing layers and publishes. */
export async function runPull(crew: Crew, request: PullRequest, audience: Audience, options: Abortable): Promise<PullResult> {
  const { store, layers } = crew
  const queuedMs = audience.ageMs
  const started = performance.now()
  layers.checkRights()
  const remote = sourceOf(crew, request)
  audience.asks(remote)
  audience.phase('resolving')
  // While the registry is asked: of what has no name here something is likely to be unpacked.
  const context = { ...planContext(crew, request, remote), onUnknown: () => layers.startWorker() }
  const planned = await makePlan(context, options)
  const resolveMs = performance.now() - started
  const { plan, host } = planned
  // Who gets what a tag named last, or brings an archive, has not been let in by anybody.
  const isLetIn = planned.stale === undefined && request.source === undefined
  const receipt = !isLetIn ? undefined : receiptOf(crew, request, planned, remote.resolvedBy ?? host)
  const times = { ms: resolveMs, queuedMs, tokenMs: remote.tokenMs }
  audience.event({ type: 'resolved', root: plan.root, manifest: plan.manifest, platform: plan.platform, host, ...times })
  const resolved = performance.now()
  await using lease = store.lease()
  // In a runtime's store the names of an image that is here whole hold its layers; in one of ours it might make room for another pull.
  const isHeldByNames = plan.present && store.holdings === undefined
  if (!isHeldByNames) await lease.retain(planned.layerIds)
  const before = isHeldByNames ? planned.published : await stillPublished(store, planned)
  if (before !== undefined) store.holdings?.used([before.id])
  audience.plan(planned)
  audience.event({ type: 'planned', plan })

  let roomMs = 0
  const finish = (image: PullResult['image'], layers: readonly LayerReport[], syncMs: number, publishMs: number): PullResult => {
    const sentence = verdict({ host, resolveMs, tokenMs: times.tokenMs, queuedMs, roomMs, layers, syncMs, publishMs })
    audience.event({ type: 'done', imageId: image.id, ms: audience.ageMs, verdict: sentence })
    return { image, plan, ...(planned.stale === undefined ? {} : { stale: planned.stale }) }
  }

  await using twins = store.lease('read')
  const estimates = await estimate(store, plan.layers, twins)
  const expected = new Expected(plan.layers, planned.layerIds, estimates, (id) => layers.progressOf(id))
  using _before = layers.expect(plan.layers)
  using _room = await crew.room.reserve(() => expected.coming(), options)
  roomMs = performance.now() - resolved
  audience.event({ type: 'room', ms: roomMs })
  audience.phase('pulling')
  const chain: Chain = {
    layers: plan.layers,
    ids: planned.layerIds,
    remote,
    host,
    isUrgent: () => audience.isUrgent(),
    isArchive: request.source !== undefined,
  }
  const done = (at: number): void => expected.done(at)
  const tell = (layer: number, report: LayerReport): void => audience.event({ type: 'layer', layer, report })
  const reports = await bringLayers(layers, chain, plan, { ...options, done, tell })
  const isAllHere = reports.every(({ origin }) => origin === 'here')
  // One more look, once every layer was seen: names that are there now have held them since.
  const published = isHeldByNames ? (isAllHere ? await stillPublished(store, planned) : undefined) : before
  if (isHeldByNames && published === undefined) {
    await lease.retain(planned.layerIds)
    // What has gone before it was held; it has been told already that they are here.
    await bringLayers(layers, chain, plan, { ...options, done: () => {}, tell: () => {} })
  }
  if (published !== undefined) {
    if (receipt !== undefined) store.receipts.note(published.id, receipt)
    return finish(published, reports, 0, 0)
  }

  audience.phase('sealing')
  const { image, syncMs, publishMs } = await store.publish(
    { ...planned.image, ...(receipt === undefined ? {} : { receipt }) },
    options,
  )
  audience.event({ type: 'sealed', syncMs, publishMs })
  return finish(image, reports, syncMs, publishMs)
}

const sourceOf = ({ registry }: Crew, { reference, credentials, source }: PullRequest): Repository =>
  source ?? registry.connect(reference, credentials)

function planContext({ store, platform, stale, recheckAccess }: Crew, request: PullRequest, remote: Repository): PlanContext {
  const { reference } = request
  const asked = request.platform !== undefined
  const mayBeStale = stale.mayAnswer(reference)
  return { reference, platform: request.platform ?? platform, asked, remote, store, mayBeStale, recheckAccess }
}

const receiptOf = ({ identify }: Crew, { credentials }: PullRequest, { image }: Planned, host: string): Receipt | undefined =>
  identify === undefined ? undefined : { identity: identify(credentials), name: image.digest, host, at: new Date() }

/** The record the plan has found as it is now, unless the image or its name has gone since: then it is published anew. */
async function stillPublished(store: Store, { published, image }: Planned): Promise<StoredImage | undefined> {
  if (published === undefined) return undefined
  const now = await store.find(published.id)
  const isNamed = now?.digests.includes(image.digest) && (image.tag === undefined || now.tags.includes(image.tag))
  return isNamed ? now : undefined
}

/** All layers at once, the largest first: the one that takes longest must not be the one that starts last. */
async function bringLayers(
  work: LayerWork,
  chain: Chain,
  plan: PullPlan,
  {
    done,
    tell,
    ...options
  }: Abortable & {
    readonly done: (at: number) => void
    readonly tell: (at: number, report: LayerReport) => void
  },
): Promise<LayerReport[]> {
  const order = plan.layers.map((_, at) => at).sort((a, b) => (plan.layers[b]?.blob.size ?? 0) - (plan.layers[a]?.blob.size ?? 0))
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const bring = async (at: number): Promise<{ readonly at: number; readonly report: LayerReport }> => {
    try {
      const { report } = await work.ensure(chain, at, { signal })
      done(at)
      tell(at, report)
      return { at, report }
    } catch (error) {
      // The first failure is the one told; the other layers stop, and are waited for, so that nothing of this pull is left behind it.
      failed.abort(error)
      throw error
    }
  }
  const settled = await Promise.allSettled(order.map(bring))
  if (failed.signal.aborted) throw options.signal.aborted ? options.signal.reason : failed.signal.reason
  const brought = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  return brought.sort((a, b) => a.at - b.at).map(({ report }) => report)
}
