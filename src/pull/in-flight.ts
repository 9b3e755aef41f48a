/** A pull in flight: who waits for it, what it has told so far, how far its layers are. */
import { randomBytes } from 'node:crypto'
import { WindlassError } from '../failure/failure.ts'
import type { Platform } from '../oci/oci.ts'
import { formatReference } from '../reference/parse.ts'
import { unlessAborted } from '../task/flights.ts'
import type { LayerProgress } from './arrival.ts'
import type { LayerWork } from './layers.ts'
import type { PullEnd, PullListener, PullObserver } from './observer.ts'
import type { Planned } from './plan.ts'
import { isAwaited, type PullEvent, type PullRequest, type PullResult, type PullStatus } from './pull.ts'
import type { Audience } from './run.ts'

type Listener = (event: PullEvent) => void
type Caller = { readonly client: PullRequest['client']; readonly listener: Listener | undefined }

export class PullInFlight implements Audience {
  readonly id = randomBytes(4).toString('hex')
  readonly startedAt = new Date()
  readonly request: PullRequest
  readonly #platform: Platform
  readonly #controller = new AbortController()
  readonly #work: LayerWork
  readonly #changed: () => void
  readonly #observed: PullListener
  readonly #callers = new Set<Caller>()
  /** What a joiner is told first; progress is not history. */
  readonly #history: PullEvent[] = []
  readonly #done = new Set<number>()
  #phase: PullStatus['phase'] = 'queued'
  #planned: Planned | undefined
  #last: LayerProgress[] = []

  constructor(request: PullRequest, platform: Platform, work: LayerWork, observer: PullObserver, changed: () => void) {
    this.request = request
    this.#platform = platform
    this.#work = work
    this.#changed = changed
    const { id, startedAt } = this
    this.#observed = observer.begun({ ...request, id, startedAt })
  }

  isUrgent(): boolean {
    const clients = this.#callers.size === 0 ? [this.request.client] : [...this.#callers].map(({ client }) => client)
    return isAwaited({ clients })
  }

  /** Aborts once nobody waits any more, or on `stop`. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** What has happened so far, in order. */
  get told(): readonly PullEvent[] {
    return this.#history
  }

  stop(reason: Error): void {
    this.#controller.abort(reason)
  }

  /** Waits with the others; leaves when the signal aborts. The last one to leave stops the pull. */
  async join(
    result: Promise<PullResult>,
    { client, traceparent }: Pick<PullRequest, 'client' | 'traceparent'>,
    listener: Listener | undefined,
    signal: AbortSignal,
  ): Promise<PullResult> {
    const caller: Caller = { client, listener }
    this.#callers.add(caller)
    if (traceparent !== undefined && traceparent !== this.request.traceparent) this.#observed.joined(traceparent)
    this.#changed()
    for (const event of this.#history) listener?.(event)
    try {
      return await unlessAborted(result, signal)
    } finally {
      this.#callers.delete(caller)
      this.#changed()
      if (this.#callers.size === 0) this.stop(new WindlassError({ kind: 'cancelled', reason: 'cancelled' }))
    }
  }

  ended(end: PullEnd): void {
    this.#observed.ended(end)
  }

  phase(phase: PullStatus['phase']): void {
    this.#phase = phase
    this.#changed()
  }

  plan(planned: Planned): void {
    this.#planned = planned
  }

  event(event: PullEvent): void {
    this.#history.push(event)
    if (event.type === 'layer') {
      this.sample()
      this.#done.add(event.layer)
    }
    this.#tell(event)
    this.#observed.event(event)
    this.#changed()
  }

  /** Tells listeners how far layers have come since the last time. */
  sample(): void {
    this.#layers().forEach(({ state, bytes }, layer) => {
      const last = this.#last[layer]
      if (this.#done.has(layer) || (last?.state === state && last.bytes === bytes)) return
      this.#last[layer] = { state, bytes }
      this.#tell({ type: 'progress', layer, state, bytes })
      this.#changed()
    })
  }

  status(): PullStatus {
    return {
      id: this.id,
      reference: formatReference(this.request.reference),
      platform: this.#planned?.plan.platform ?? this.#platform,
      clients: [...this.#callers].map(({ client }) => client),
      startedAt: this.startedAt,
      phase: this.#phase,
      layers: this.#layers(),
    }
  }

  #layers(): PullStatus['layers'] {
    const planned = this.#planned
    if (planned === undefined) return []
    return planned.plan.layers.map(({ blob, origin }, at) => {
      const id = planned.layerIds[at]
      const { digest, size } = blob
      if (this.#done.has(at) || origin === 'here') return { digest, size, state: 'done', bytes: size }
      const progress = id === undefined ? undefined : this.#work.progressOf(id)
      return {
        digest,
        size,
        state: progress?.state ?? this.#last[at]?.state ?? 'waiting',
        bytes: progress?.bytes ?? this.#last[at]?.bytes ?? 0,
      }
    })
  }

  #tell(event: PullEvent): void {
    for (const { listener } of this.#callers) listener?.(event)
  }
}
