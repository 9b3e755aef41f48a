/** What the pull path tells whoever counts and traces. */
import type { Metrics, PullFigures } from '../metrics/metrics.ts'
import type { BegunPull, PullEnd, PullListener, PullObserver } from '../pull/observer.ts'
import type { RegistryEvent } from '../registry/events.ts'
import type { Store } from '../store/store.ts'
import type { Tracer } from '../trace/trace.ts'
import { tracePull } from './pull-spans.ts'

export type Observers = {
  readonly pulls: PullObserver
  readonly onRequest: (event: RegistryEvent) => void
  readonly onImageRemoved: Metrics['imageRemoved']
  readonly onCollected: Metrics['collected']
}

export function observersOf(metrics: Metrics, tracer: Tracer | undefined): Observers {
  return {
    pulls: {
      begun: (pull) => listenerOf(pull, metrics, tracer),
      brought: ({ blob }, { origin, host, unpackMs }, isArchive) =>
        metrics.layer({
          source: origin === 'copy' ? 'copy' : isArchive ? 'archive' : (host ?? 'other'),
          codec: codecOf(blob.mediaType),
          bytes: blob.size,
          unpackMs,
        }),
    },
    onRequest: (event) => countRequest(metrics, event),
    onImageRemoved: metrics.imageRemoved,
    onCollected: metrics.collected,
  }
}

/** A store whose collections are counted, once each, however many have asked for one. */
export const countedStore = (store: Pick<Store, 'collect'>, onCollected: Observers['onCollected']): Pick<Store, 'collect'> => ({
  collect: async () => {
    const gone = await store.collect()
    onCollected({ layers: gone.length, bytes: gone.reduce((sum, { usedBytes = 0 }) => sum + usedBytes, 0) })
    return gone
  },
})

function listenerOf(pull: BegunPull, metrics: Metrics, tracer: Tracer | undefined): PullListener {
  const traced = tracer === undefined ? undefined : tracePull(tracer, pull)
  return {
    event: (event) => traced?.event(event),
    joined: (traceparent) => traced?.joined(traceparent),
    ended: (end) => {
      metrics.pull(figuresOf(end))
      traced?.ended(end)
    },
  }
}

function figuresOf({ reference, result, report }: PullEnd): PullFigures {
  const { ms, queuedMs, resolveMs, syncMs, publishMs, layers, failure } = report
  const seal = syncMs + publishMs
  const whole = ms - queuedMs
  return {
    registry: reference.registry,
    result,
    reason: failure?.kind ?? '',
    bytesHere: layers.reduce((sum, { origin, blobSize }) => sum + (origin === 'here' ? blobSize : 0), 0),
    phases: { queue: queuedMs, resolve: resolveMs, layers: Math.max(0, whole - resolveMs - seal), seal, whole },
  }
}

function countRequest(metrics: Metrics, event: RegistryEvent): void {
  if (event.type === 'answer') metrics.request(event)
  else if (event.type === 'retry') metrics.retried(event.host)
  else if (event.type === 'host-failed') metrics.gaveUp(event.host)
}

/** As its media type says; what the bytes say is looked at by who unpacks them. */
function codecOf(mediaType: string): 'gzip' | 'zstd' | 'none' {
  if (mediaType.endsWith('gzip')) return 'gzip'
  return mediaType.endsWith('zstd') ? 'zstd' : 'none'
}
