/** Who watches pulls, for figures and traces: told as they happen, never waited for. Nothing here may throw. */
import type { Reference } from '../reference/reference.ts'
import type { LayerReport, PlannedLayer, PullEvent, PullRequest } from './pull.ts'
import type { PullReport } from './report.ts'

export type PullObserver = {
  /** A pull has begun, however many callers it has; what is returned hears of it until it has ended. */
  begun(pull: BegunPull): PullListener
  /** A layer was brought here, once however many pulls wanted it. `isArchive`: out of a file of somebody's, not from a host. */
  brought(layer: PlannedLayer, report: LayerReport, isArchive: boolean): void
}

export type BegunPull = Pick<PullRequest, 'reference' | 'client' | 'traceparent'> & {
  readonly id: string
  readonly startedAt: Date
}

export type PullListener = {
  event(event: PullEvent): void
  /** Somebody else waits for it too, whose trace this is. */
  joined(traceparent: string): void
  ended(end: PullEnd): void
}

/** `here`: no layer had to come. `stale`: a tag was answered with what it named last. */
export type PullEnd = {
  readonly reference: Reference
  readonly result: 'pulled' | 'here' | 'stale' | 'failed'
  readonly report: PullReport
}

const deaf: PullListener = { event: () => {}, joined: () => {}, ended: () => {} }
export const unobserved: PullObserver = { begun: () => deaf, brought: () => {} }
