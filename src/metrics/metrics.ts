/**
 * What the daemon counts. Rooms are given the few functions they need; that there are metrics at all is the composition root's business.
 *
 *     told.ts       what rooms tell, as it happens: counters and histograms
 *     looked-at.ts  what is looked at when somebody asks: gauges
 *     process.ts    what the daemon's own process takes
 *     serve.ts      all of it over HTTP, with the probes; loads the library that writes it
 *
 * Labels are of closed sets, kinds of failures and words of ours, or are names of hosts, of which only so many are told apart.
 */

export interface Metrics {
  /** A pull was handed to the runtime, and why: a failure's kind, or `passthrough`, `not-ready`, `unreadable`, `obstacle`, `runtime-handler`. */
  forwarded(reason: string): void
  /** A pull of ours has ended. */
  pull(pull: PullFigures): void
  /** A layer has come, once for all pulls that wanted it. */
  layer(layer: LayerFigures): void
  /** A registry was asked, and what became of it: a status, or a word of ours. `headMs` to the head of the answer. */
  request(request: { readonly host: string; readonly method: string; readonly code: string; readonly headMs: number }): void
  /** The same host is asked again; it is given up for the next one, if any. */
  retried(host: string): void
  gaveUp(host: string): void
  /** A call on our socket has ended. `method` is `/package.Service/Method`. */
  call(call: { readonly method: string; readonly type: string; readonly code: string; readonly ms: number }): void
  /** A collection has removed so much; an image had to go, and why. */
  collected(collected: { readonly layers: number; readonly bytes: number }): void
  imageRemoved(reason: 'age' | 'pressure' | 'asked'): void
  /** Spans have reached the collector, or are lost. */
  spans(outcome: 'sent' | 'dropped', count: number): void
  /** Whether pulls go to the runtime, as all other calls do, and why. */
  passthrough(on: boolean, reason: PassthroughReason): void
}

export type PullFigures = {
  readonly registry: string
  readonly result: 'pulled' | 'here' | 'stale' | 'failed'
  /** The kind of its failure; empty where it did not fail. */
  readonly reason: string
  /** Compressed, of layers that were here. */
  readonly bytesHere: number
  readonly phases: Readonly<Record<PullPhase, number>>
}

/** The steps of a pull, in order, in milliseconds; `whole` is all of it but `queue`. */
export const PULL_PHASES = ['queue', 'resolve', 'layers', 'seal', 'whole'] as const
export type PullPhase = (typeof PULL_PHASES)[number]

export type LayerFigures = {
  /** The host that gave its bytes, or `archive`; a copy was made of what is on this node. */
  readonly source: string | 'copy'
  readonly codec: 'gzip' | 'zstd' | 'none'
  readonly bytes: number
  readonly unpackMs: number
}

/** Pulls under way, and those of them that wait for others to end. */
export type PullCounts = { readonly inFlight: number; readonly queued: number }

/** The file system that images are on. */
export type DiskFigures = {
  /** By images. */
  readonly usedBytes: number
  readonly totalBytes: number
  readonly availableBytes: number
  readonly totalInodes: number
  readonly availableInodes: number
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
export const uncounted: Metrics = {
  forwarded: () => {},
  pull: () => {},
  layer: () => {},
  request: () => {},
  retried: () => {},
  gaveUp: () => {},
  call: () => {},
  collected: () => {},
  imageRemoved: () => {},
  spans: () => {},
  passthrough: () => {},
}
