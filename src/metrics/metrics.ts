/**
 * What the daemon counts. Rooms are given the few functions they need; that there are metrics at all is the composition root's business.
 * `serve.ts` shows them over HTTP, and loads the library that writes them.
 */

/** Labels are of closed sets: kinds of failures, and words of ours. */
export interface Metrics {
  /** A pull was handed to the runtime, and why: a failure's kind, or `passthrough`, `not-ready`, `unreadable`, `obstacle`, `runtime-handler`. */
  forwarded(reason: string): void
  /** A pull of ours has ended: `pulled`, `stale`, or its failure's kind. */
  pull(registry: string, result: string): void
  /** Whether pulls go to the runtime, as all other calls do, and why. */
  passthrough(on: boolean, reason: PassthroughReason): void
}

/** How far lists of images are, where there are any. */
export type PrepullFigures = {
  /** One of each image of each list. `unprotected` are here, without a pin that the runtime shows. */
  readonly images: readonly { readonly list: string; readonly state: PrepullState }[]
  /** Files that are not in force as they stand; the directory, where that cannot be read. */
  readonly problems: number
}
export const PREPULL_STATES = ['waiting', 'pulling', 'here', 'unprotected', 'failed'] as const
export type PrepullState = (typeof PREPULL_STATES)[number]

/** Switched by a person; for lack of a configuration that can be used; while our own way of pulling cannot be opened. */
export const PASSTHROUGH_REASONS = ['switched', 'bad-config', 'not-open'] as const
export type PassthroughReason = (typeof PASSTHROUGH_REASONS)[number]

/** Where nobody asks for figures. */
export const uncounted: Metrics = { forwarded: () => {}, pull: () => {}, passthrough: () => {} }
