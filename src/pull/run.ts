/** One pull, told as it happens. */
import type { Platform } from '../oci/oci.ts'
import type { Registry } from '../registry/registry.ts'
import type { Receipt } from '../store/receipts.ts'
import type { Store } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { Identify } from './identity.ts'
import type { Chain, LayerWork } from './layers.ts'
import { makePlan, type Planned } from './plan.ts'
import type { LayerReport, PullEvent, PullPlan, PullRequest, PullResult, PullStatus } from './pull.ts'
import { estimate, type Room, sumOf } from './room.ts'
import { verdict } from './verdict.ts'

/** The collaborators of every pull. */
export type Crew = {
  readonly registry: Registry
  readonly store: Store
  readonly layers: LayerWork
  /** This node's, for requests that name none. */
  readonly platform: Platform
  readonly room: Room
  /** Says who a caller is; without it no receipts are kept. */
  readonly identify: Identify | undefined
  /** The registry itself must say, for each pull, that its caller may read the image. */
  readonly recheckAccess: boolean
}

/** Whom a pull tells. */
export type Audience = { phase(phase: PullStatus['phase']): void; event(event: PullEvent): void; plan(planned: Planned): void }

/** Resolves and plans without pulling. */
export async function planPull(
  { registry, store, platform, recheckAccess }: Crew,
  request: PullRequest,
  options: Abortable,
): Promise<Planned> {
  const remote = registry.connect(request.reference, request.credentials)
  const context = { reference: request.reference, platform: request.platform ?? platform, remote, store, recheckAccess }
  return await makePlan(context, options)
}

/** Resolves, plans, brings the missing layers and publishes. */
export async function runPull(crew: Crew, request: PullRequest, audience: Audience, options: Abortable): Promise<PullResult> {
  const { registry, store, layers, recheckAccess } = crew
  layers.checkRights()
  const started = performance.now()
  const remote = registry.connect(request.reference, request.credentials)
  const platform = request.platform ?? crew.platform

  audience.phase('resolving')
  const planned = await makePlan({ reference: request.reference, platform, remote, store, recheckAccess }, options)
  const resolveMs = performance.now() - started
  const { plan, host } = planned
  const receipt = receiptOf(crew, request, planned, remote.resolvedBy ?? host)
  audience.event({ type: 'resolved', root: plan.root, manifest: plan.manifest, platform: plan.platform, host, ms: resolveMs })
  // What is asked for now must not be what makes room for another.
  if (planned.published !== undefined) store.holdings?.used([planned.published.id])
  await using lease = store.lease()
  // An image that is here whole holds its layers itself.
  if (!plan.present) await lease.retain(planned.layerIds)
  audience.plan(planned)
  audience.event({ type: 'planned', plan })

  const finish = (image: PullResult['image'], reports: readonly LayerReport[], sealMs: number): PullResult => {
    const ms = performance.now() - started
    audience.event({ type: 'done', imageId: image.id, ms, verdict: verdict({ ms, resolveMs, sealMs, layers: reports }) })
    return { image, plan }
  }

  const estimates = await estimate(store, plan.layers)
  using room = await crew.room.reserve(sumOf(estimates), options)
  audience.phase('pulling')
  const chain: Chain = { layers: plan.layers, ids: planned.layerIds, remote, host }
  const arrived = (at: number): void => room.arrived(estimates[at]?.likely ?? 0)
  const reports = await bringLayers(layers, chain, plan, audience, { ...options, arrived })
  if (planned.published !== undefined) {
    if (receipt !== undefined) store.receipts.note(planned.published.id, receipt)
    return finish(planned.published, reports, 0)
  }

  audience.phase('sealing')
  const { image, syncMs, publishMs } = await store.publish(
    { ...planned.image, ...(receipt === undefined ? {} : { receipt }) },
    options,
  )
  audience.event({ type: 'sealed', syncMs, publishMs })
  return finish(image, reports, syncMs + publishMs)
}

const receiptOf = ({ identify }: Crew, { credentials }: PullRequest, { image }: Planned, host: string): Receipt | undefined =>
  identify === undefined ? undefined : { identity: identify(credentials), name: image.digest, host, at: new Date() }

/** All layers at once, the largest first: the one that takes longest must not be the one that starts last. */
async function bringLayers(
  work: LayerWork,
  chain: Chain,
  plan: PullPlan,
  audience: Audience,
  { arrived, ...options }: Abortable & { readonly arrived: (at: number) => void },
): Promise<LayerReport[]> {
  const order = plan.layers.map((_, at) => at).sort((a, b) => (plan.layers[b]?.blob.size ?? 0) - (plan.layers[a]?.blob.size ?? 0))
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const bring = async (at: number): Promise<{ readonly at: number; readonly report: LayerReport }> => {
    try {
      const { report } = await work.ensure(chain, at, { signal })
      arrived(at)
      audience.event({ type: 'layer', layer: at, report })
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
