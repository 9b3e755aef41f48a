/** A pull in flight: who waits for it, what it has told so far, how far its layers are. */
import { randomBytes } from 'node:crypto'
import { WindlassError } from '../failure/failure.ts'
import type { Platform } from '../oci/oci.ts'
import { formatReference } from '../reference/parse.ts'
import type { Repository } from '../registry/registry.ts'
import { unlessAborted } from '../task/flights.ts'
import type { LayerProgress } from './arrival.ts'
import type { LayerWork } from './layers.ts'
import type { PullEnd, PullListener, PullObserver } from './observer.ts'
import type { Planned } from './plan.ts'
import {
  isAwaited,
  type OnPullEvent,
  type PullEvent,
  type PullRequest,
  type PullResult,
  type PullStatus,
  type PullStep,
  type Told,
  type UnfinishedLayer,
} from './pull.ts'
import type { Audience } from './run.ts'

type Caller = { readonly client: PullRequest['client']; readonly listener: OnPullEvent | undefined }

const STEP_OF = { queued: 'queued', resolving: 'resolving', pulling: 'layers', sealing: 'sealing' } as const

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
  readonly #history: Told[]
  readonly #done = new Set<number>()
  readonly #began = performance.now()
  #phase: PullStatus['phase'] = 'queued'
  #step: { readonly name: PullStep; readonly sinceMs: number } = { name: 'queued', sinceMs: 0 }
  #queuedMs: number | undefined
  #asked: Pick<Repository, 'tokenMs'> | undefined
  /** Of layers that were seen on their way: what they are changed in goes on telling where they stood last. */
  readonly #arriving = new Map<number, LayerProgress>()
  #planned: Planned | undefined
  #last: Pick<LayerProgress, 'state' | 'bytes'>[] = []

  constructor(request: PullRequest, platform: Platform, work: LayerWork, observer: PullObserver, changed: () => void) {
    this.request = request
    this.#platform = platform
    this.#work = work
    this.#changed = changed
    const { id, startedAt } = this
    const reference = formatReference(request.reference)
    this.#history = [{ event: { type: 'begun', id, reference, client: request.client, startedAt }, atMs: 0 }]
    this.#observed = observer.begun({ ...request, id, startedAt })
  }

  /** Milliseconds since it began: the clock of everything that is told of it. */
  get ageMs(): number {
    return performance.now() - this.#began
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
    return this.#history.map(({ event }) => event)
  }

  stop(reason: Error): void {
    this.#controller.abort(reason)
  }

  /** Waits with the others; leaves when the signal aborts. The last one to leave stops the pull. */
  async join(
    result: Promise<PullResult>,
    { client, traceparent }: Pick<PullRequest, 'client' | 'traceparent'>,
    listener: OnPullEvent | undefined,
    signal: AbortSignal,
  ): Promise<PullResult> {
    const caller: Caller = { client, listener }
    this.#callers.add(caller)
    if (traceparent !== undefined && traceparent !== this.request.traceparent) this.#observed.joined(traceparent)
    this.#changed()
    for (const { event, atMs } of this.#history) listener?.(event, atMs)
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
    this.#enter(STEP_OF[phase])
    this.#changed()
  }

  /** Whom it asks from now on. */
  asks(remote: Pick<Repository, 'tokenMs'>): void {
    this.#asked = remote
  }

  /** Tells how far it has come, for it has failed. */
  failed(cause: string): void {
    const ms = this.ageMs
    const { name: step, sinceMs } = this.#step
    const times = { ms, step, stepMs: ms - sinceMs, queuedMs: this.#queuedMs ?? ms, tokenMs: this.#asked?.tokenMs ?? 0 }
    this.event({ type: 'stopped', ...times, layers: this.#unfinished(), cause })
  }

  #enter(name: PullStep): void {
    this.#step = { name, sinceMs: this.ageMs }
    if (name !== 'queued') this.#queuedMs ??= this.#step.sinceMs
  }

  plan(planned: Planned): void {
    this.#planned = planned
  }

  event(event: PullEvent): void {
    const atMs = this.ageMs
    this.#history.push({ event, atMs })
    if (event.type === 'resolved') this.#enter('room')
    if (event.type === 'layer') {
      this.sample()
      this.#done.add(event.layer)
    }
    this.#tell(event, atMs)
    this.#observed.event(event)
    this.#changed()
  }

  /** Tells listeners how far layers have come since the last time. */
  sample(): void {
    this.#layers().forEach(({ state, bytes }, layer) => {
      const last = this.#last[layer]
      if (this.#done.has(layer) || (last?.state === state && last.bytes === bytes)) return
      this.#last[layer] = { state, bytes }
      this.#tell({ type: 'progress', layer, state, bytes }, this.ageMs)
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
      if (progress !== undefined) this.#arriving.set(at, progress)
      return {
        digest,
        size,
        state: progress?.state ?? this.#last[at]?.state ?? 'waiting',
        bytes: progress?.bytes ?? this.#last[at]?.bytes ?? 0,
      }
    })
  }

  #unfinished(): readonly UnfinishedLayer[] {
    const now = performance.now()
    return (this.#planned?.plan.layers ?? []).flatMap(({ blob }, layer) => {
      const progress = this.#done.has(layer) ? undefined : this.#arriving.get(layer)
      if (progress === undefined) return []
      const { bytes, since, isUnpacked = false } = progress
      const state = isUnpacked && progress.state === 'unpacking' ? 'below' : progress.state
      return [{ layer, digest: blob.digest, size: blob.size, bytes, state, ms: now - since }]
    })
  }

  #tell(event: PullEvent, atMs: number): void {
    for (const { listener } of this.#callers) listener?.(event, atMs)
  }
}
