/**
 * One image, from a reference to a published record, forward only:
 *
 *     join → resolve → select the platform → plan → missing layers in parallel → seal
 *
 * A `Puller` shares: callers who ask for the same thing at the same time wait for one pull, and images in flight share their layers.
 * A caller who leaves disturbs nobody; when the last one leaves, the work stops and its staging is gone.
 *
 * `puller.ts` makes one. A pull goes down through
 *
 *     puller.ts     callers who ask for the same (identity.ts, in-flight.ts), and how many pulls run at once
 *     run.ts        one pull, told as it happens, to whoever watches too (observer.ts)
 *     plan.ts       what it will do: the manifest for the platform (select.ts), what is here, and what a tag named last where that is
 *                   all there is to be had (stale.ts)
 *     expected.ts   how much room it will take, which room.ts asks for
 *     layers.ts     each layer once for all pulls, in chain order; those ahead of any pod give way (brake.ts)
 *     arrival.ts    one layer on its way: fetched (download.ts; early.ts, before there is a worker for it; partials.ts and partial-blob.ts,
 *                   what a restart left of it), or copied (copy.ts)
 *
 * and what it was is told from its events: layer-report.ts, report.ts, verdict.ts; kept by history.ts, drawn by trace.ts. Beside it, look.ts
 * reads documents alone, check.ts and again.ts are for repairs, queue.ts for what is to be pulled ahead.
 */

import type { DiffId, Digest } from '../oci/digest.ts'
import type { Descriptor, Platform } from '../oci/oci.ts'
import type { Reference } from '../reference/reference.ts'
import type { Credentials, Repository } from '../registry/registry.ts'
import type { StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { StaleTag } from './stale.ts'

/** Who may ask. */
export const CLIENTS = ['cri', 'control', 'cli', 'prepull'] as const

export type PullRequest = {
  readonly reference: Reference
  readonly credentials: Credentials
  /** The platform to pull for; the node's own by default. */
  readonly platform?: Platform
  /** Who asked: shown by `windlass ps`. */
  readonly client: (typeof CLIENTS)[number]
  /** Asked in place of the reference's registry: an archive of the caller's. Such a pull is shared with nobody and leaves no receipt. */
  readonly source?: Repository
  /** The caller's trace, as W3C Trace Context writes it; nobody has parsed it. */
  readonly traceparent?: string
}

/** Where the bytes of one layer come from. */
export const LAYER_ORIGINS = ['here', 'registry', 'copy'] as const
export type LayerOrigin = (typeof LAYER_ORIGINS)[number]

export type PlannedLayer = {
  readonly blob: Descriptor
  readonly diffId: DiffId
  /** `here`: committed in this chain, and not known to be damaged. `copy`: unpacked on this node for another chain. */
  readonly origin: LayerOrigin
}

/** What a pull will do, as a plain value. */
export type PullPlan = {
  /** Normal form. */
  readonly reference: string
  readonly platform: Platform
  /** What the reference names; an index where there is one. */
  readonly root: Descriptor
  readonly manifest: Descriptor
  readonly imageId: Digest
  readonly layers: readonly PlannedLayer[]
  /** True when this very image is published already, and none of its layers known to be damaged. */
  readonly present: boolean
  readonly bytesToFetch: number
  readonly bytesHere: number
}

/** One layer's part in a pull, for the report. Milliseconds. */
export type LayerReport = {
  readonly origin: LayerOrigin
  readonly host?: string
  readonly blobSize: number
  readonly diffSize: number
  readonly entries: number
  readonly whiteouts: number
  /**
   * Time waiting until a worker was free for it, until that had begun (it may have had to be started), in which the network was the slower
   * side, unpacking.
   */
  readonly queuedMs: number
  readonly startMs: number
  readonly networkMs: number
  readonly unpackMs: number
  /** The worker's own account: its time without bytes to work on, then what its time unpacking went into. */
  readonly waitMs: number
  readonly inflateMs: number
  readonly hashMs: number
  readonly writeMs: number
  /** Time waiting, unpacked, for the layer below; time being given its place above it. */
  readonly belowMs: number
  readonly commitMs: number
  readonly attempts: number
  readonly warnings: readonly string[]
}

/** In this order. */
export const LAYER_STATES = ['waiting', 'downloading', 'unpacking', 'committing', 'done'] as const
export type LayerState = (typeof LAYER_STATES)[number]

/** The steps of a pull, one after the other; `room` is making sure that its layers have some. */
export const STEPS = ['queued', 'resolving', 'room', 'layers', 'sealing'] as const
export type PullStep = (typeof STEPS)[number]

/** Where a layer may stand that has not arrived: `below` it is unpacked, and the one below it is not in its place. */
export const STANDS = [...LAYER_STATES, 'below'] as const

/** A layer that was on its way when its pull failed: where it stood, for how long, and how many of its compressed bytes had come. */
export type UnfinishedLayer = {
  readonly layer: number
  readonly digest: string
  readonly size: number
  readonly bytes: number
  readonly state: (typeof STANDS)[number]
  readonly ms: number
}

/** `layer` is the position in the manifest, base 0. The first event is `begun`; the last one `done`, or `stopped` where the pull fails. */
export type PullEvent =
  | {
      readonly type: 'begun'
      readonly id: string
      readonly reference: string
      /** Of the first who asked. */
      readonly client: PullRequest['client']
      readonly startedAt: Date
    }
  | {
      readonly type: 'resolved'
      readonly root: Descriptor
      readonly manifest: Descriptor
      readonly platform: Platform
      readonly host: string
      readonly ms: number
      /** Time waiting for other pulls before; of `ms`, the time getting tokens. */
      readonly queuedMs: number
      readonly tokenMs: number
    }
  | { readonly type: 'planned'; readonly plan: PullPlan }
  | { readonly type: 'room'; readonly ms: number }
  | { readonly type: 'progress'; readonly layer: number; readonly state: LayerState; readonly bytes: number }
  | { readonly type: 'layer'; readonly layer: number; readonly report: LayerReport }
  | { readonly type: 'sealed'; readonly syncMs: number; readonly publishMs: number }
  | { readonly type: 'done'; readonly imageId: Digest; readonly ms: number; readonly verdict: string }
  | {
      readonly type: 'stopped'
      readonly ms: number
      /** What was under way, and for how long. */
      readonly step: PullStep
      readonly stepMs: number
      readonly queuedMs: number
      readonly tokenMs: number
      readonly layers: readonly UnfinishedLayer[]
      /** The failure in a few words. */
      readonly cause: string
    }

/** An event, and how many milliseconds after the pull began it was: the same for every caller, whenever they joined. */
export type Told = { readonly event: PullEvent; readonly atMs: number }
export type OnPullEvent = (event: PullEvent, atMs: number) => void

export const PHASES = ['queued', 'resolving', 'pulling', 'sealing'] as const

/** A pull in flight as `windlass ps` shows it. */
export type PullStatus = {
  /** Names this pull in logs and in `ps`: eight hex digits. */
  readonly id: string
  readonly reference: string
  readonly platform: Platform
  readonly clients: readonly PullRequest['client'][]
  readonly startedAt: Date
  readonly phase: (typeof PHASES)[number]
  readonly layers: readonly {
    readonly digest: Digest
    readonly size: number
    readonly state: LayerState
    readonly bytes: number
  }[]
}

/** Somebody waits for it: a pod, a person, anybody but the pre-puller. */
export const isAwaited = ({ clients }: Pick<PullStatus, 'clients'>): boolean => clients.some((client) => client !== 'prepull')

/** `stale` is why the registry could not be reached, where the tag was answered with what it named last. */
export type PullResult = { readonly image: StoredImage; readonly plan: PullPlan; readonly stale?: Error }

export interface Puller {
  /**
   * Pulls, or joins the same pull. `onEvent` is called for every event from the moment of joining (a joiner first gets `begun`,
   * `resolved`, `planned` and the layers so far); it must not throw and is never waited for. Rejects with `cancelled` when `signal` aborts, whether
   * or not the pull goes on for others.
   */
  pull(request: PullRequest, options: Abortable & { readonly onEvent?: OnPullEvent }): Promise<PullResult>
  /** Resolves and plans, reads manifests and config, moves no layer. */
  plan(request: PullRequest, options: Abortable): Promise<PullPlan>
  /**
   * Whether the registry would give again what is here: the documents, and the blobs of the layers from the position `from` up, of which the
   * first byte of each is asked for and none is kept. Throws what a pull does.
   */
  check(request: PullRequest, options: Abortable & { readonly from: number }): Promise<void>
  /** The pulls in flight, oldest first, whoever started them. */
  inFlight(): readonly PullStatus[]
  /** The tags that were last answered with what they had named before, because their registry could not be reached. */
  staleTags(): readonly StaleTag[]
  /** Calls back whenever `inFlight` has changed, at most every 100 ms; stops on abort. */
  watch(onChange: (pulls: readonly PullStatus[]) => void, options: Abortable): void
  /** Stops all pulls with `cancelled: shutdown` and waits until their staging is gone. */
  close(): Promise<void>
}
