/** How the daemon is seen: metrics and probes over HTTP, traces. Without any of them it pulls all the same. */
import { hostname } from 'node:os'
import { describe } from '../failure/failure.ts'
import { measureDisk } from '../gc/disk.ts'
import { type DiskFigures, type Metrics, type PrepullFigures, uncounted } from '../metrics/metrics.ts'
import { whyAway } from '../runtime/away.ts'
import type { RuntimeAddress } from '../runtime/runtime.ts'
import type { Store } from '../store/store.ts'
import type { Tracer } from '../trace/trace.ts'
import type { Basics } from './basics.ts'
import type { Logger } from './log.ts'
import type { PullNode } from './node.ts'
import { type Observers, observersOf } from './observers.ts'

export type Seen = AsyncDisposable & { readonly metrics: Metrics; readonly observers: Observers }

/** Where there is something to look at. */
export type Sights = {
  /** Undefined while our own way of pulling is not open. */
  readonly node: () => PullNode | undefined
  readonly prepull: () => PrepullFigures
  /** Whether the socket is answered. */
  readonly isOpen: () => boolean
  readonly runtime?: RuntimeAddress
}

export async function openSeen(basics: Basics, sights: Sights): Promise<Seen> {
  await using opened = new AsyncDisposableStack()
  const metrics = opened.use(await openMetrics(basics, sights))
  const tracer = await openTracer(basics, metrics)
  if (tracer !== undefined) opened.use(tracer)
  const kept = opened.move()
  return { metrics, observers: observersOf(metrics, tracer), [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** Where an address is configured. One that is taken must not keep images from the node. */
async function openMetrics(
  { config, version, log }: Basics,
  { node, prepull: figures, isOpen, runtime }: Sights,
): Promise<Metrics & AsyncDisposable> {
  const { metrics, prepull } = config
  const none = { ...uncounted, [Symbol.asyncDispose]: async () => {} }
  if (metrics === undefined) return none
  const { serveMetrics } = await import('../metrics/serve.ts')
  try {
    const served = await serveMetrics({
      ...metrics,
      version,
      pulls: () => {
        const pulls = node()?.puller.inFlight() ?? []
        return { inFlight: pulls.length, queued: pulls.filter(({ phase }) => phase === 'queued').length }
      },
      disk: () => diskOf(node()?.store, log),
      damagedLayers: () => node()?.store.health?.damaged().length,
      ...(prepull === undefined ? {} : { prepull: figures }),
      whyNotReady: async (options) => {
        if (!isOpen()) return 'the socket is not answered'
        const failure = runtime && (await whyAway(runtime, options))
        return failure && describe(failure)
      },
      ...(runtime === undefined ? {} : { isRuntimeUp: async (options) => (await whyAway(runtime, options)) === undefined }),
      onError: (error) => log.error({ err: error }, 'a connection for metrics could not be accepted'),
    })
    log.info({ metrics: { host: metrics.host, port: served.port } }, 'metrics are served')
    return served
  } catch (error) {
    log.error({ ...metrics, err: error }, 'metrics are not served')
    return none
  }
}

/** A scrape without these figures is better than none. */
async function diskOf(store: Store | undefined, log: Logger): Promise<DiskFigures | undefined> {
  if (store === undefined) return undefined
  try {
    const [{ usedBytes }, disk] = await Promise.all([store.usage(), measureDisk(store.overlayDir)])
    return { ...disk, usedBytes }
  } catch (error) {
    log.warn({ err: error }, 'the disk that images are on could not be looked at')
    return undefined
  }
}

/** Where OTEL_EXPORTER_OTLP_ENDPOINT says it; nothing of it is loaded elsewhere. */
async function openTracer({ version, log }: Basics, metrics: Metrics): Promise<Tracer | undefined> {
  const { env } = process
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return undefined
  const [{ tracingFrom }, { createTracer }] = await Promise.all([import('../trace/environment.ts'), import('../trace/tracer.ts')])
  const { settings, warnings } = tracingFrom(env)
  for (const warning of warnings) log.warn({}, warning)
  if (settings === undefined) return undefined
  try {
    const tracer = createTracer({
      settings,
      version,
      host: env.NODE_NAME || hostname(),
      onSpans: metrics.spans,
      onError: (error) => log.warn({ err: error }, 'spans could not be sent'),
    })
    log.info({ collector: settings.url.origin }, 'pulls are traced')
    return tracer
  } catch (error) {
    log.error({ err: error }, 'nothing is traced: the certificate of the collector cannot be used')
    return undefined
  }
}
