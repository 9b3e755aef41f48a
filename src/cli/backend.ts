/**
 * What the commands ask of Windlass, wherever it runs: the daemon behind a socket (`remote.ts`), or the pull path inside this process
 * on a root of one's own (`embedded.ts`). Commands do not know which one they have.
 */
import type { OpenedImage } from '../archive/archive.ts'
import type { Disk } from '../gc/disk.ts'
import type { SweepRequest } from '../gc/housekeeper.ts'
import type { Pinned, PinWish, Unpinned } from '../gc/pinning.ts'
import type { Removal } from '../gc/remove.ts'
import type { HeldThing } from '../gc/why.ts'
import type { HistoryAsk } from '../pull/history.ts'
import type { LookedUp, LookRequest, Offer } from '../pull/look.ts'
import type { OnPullEvent, PullPlan, PullStatus } from '../pull/pull.ts'
import type { DeclaredQueue } from '../pull/queue.ts'
import type { PullReport } from '../pull/report.ts'
import type { Credentials } from '../registry/registry.ts'
import type { ImageDetail } from '../store/detail.ts'
import type { HeldImage } from '../store/held.ts'
import type { Abortable } from '../task/task.ts'
import type { DamagedLayer } from '../verify/damaged.ts'
import type { VerifyEvent } from '../verify/verify.ts'

/** What is asked for, as typed; the reference and the platform are parsed by whoever answers. */
export type Ask = { readonly reference: string; readonly credentials: Credentials; readonly platform?: string }

/** With a time, the image may go by itself after it. */
export type PullAsk = Ask & { readonly expiresAfterMs?: number }

/** `archive` is what messages call it. */
export type LoadAsk = {
  readonly reference: string
  readonly archive: string
  readonly image: OpenedImage
  readonly platform?: string
}

export type VerifyAsk = { readonly images: readonly string[]; readonly repair: boolean; readonly credentials: Credentials }

/** `image`: one image's documents too, of the platform named, else the node's own. */
export type LookAsk = LookRequest & { readonly image: boolean; readonly platform?: string }

/** One image as `windlass images` lists it. */
export type ImageSummary = {
  readonly id: string
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  /** Compressed bytes. */
  readonly size: number
  readonly pinned: boolean
}

/** What went, or would go, and what stays. `bytes` of an image go with it and those before it. */
export type Collection = {
  readonly disk: Pick<Disk, 'path' | 'totalBytes' | 'availableBytes' | 'usedPercent'>
  readonly images: readonly {
    readonly id: string
    readonly names: readonly string[]
    readonly reason: string
    readonly usedAt: Date
    readonly bytes: number
  }[]
  readonly kept: readonly {
    readonly id: string
    readonly names: readonly string[]
    readonly reason: string
    readonly detail: string
  }[]
  /** Layers that no image needs, and something else holds. */
  readonly keptLayers: readonly HeldThing[]
  readonly layers: number
  readonly bytes: number
}

/** What a node has to pull. `declared` where it has a directory of lists. */
export type NodeQueue = { readonly pulls: readonly PullStatus[]; readonly declared?: DeclaredQueue }

/** The daemon, and the runtime whose images it pulls. */
export type DaemonInfo = {
  readonly version: string
  readonly pid: number
  readonly root: string
  /** The file system that images are on, and what they take up of it; absent while nothing can be pulled there. */
  readonly disk?: Collection['disk'] & { readonly imageBytes: number }
  readonly runtime?: {
    readonly kind: string
    readonly socket: string
    readonly version: string
    /** Why pulls are all the runtime's; why our own path is not open, or empty. */
    readonly obstacles: readonly string[]
    readonly missing: string
    /** Why nobody can pull just now, what to do with it; empty where the runtime listens. */
    readonly down: string
    readonly passthrough: { readonly on: boolean; readonly reason: string; readonly since?: Date }
  }
}

export interface Backend extends AsyncDisposable {
  /**
   * Pulls, or joins the same pull; resolves to the image's id. Events come in order; `onEvent` must not throw. Throws invalid-argument where no
   * image goes by itself.
   */
  pull(ask: PullAsk, options: Abortable & { readonly onEvent: OnPullEvent }): Promise<string>
  /** The same out of an archive that this process reads. */
  load(ask: LoadAsk, options: Abortable & { readonly onEvent: OnPullEvent }): Promise<string>
  plan(ask: Ask, options: Abortable): Promise<PullPlan>
  /** What a reference names, as documents. Throws image-unknown where it is to be in the store. */
  lookUp(ask: LookAsk, options: Abortable): Promise<LookedUp>
  platforms(ask: LookRequest, options: Abortable): Promise<Offer>
  pulls(options: Abortable): Promise<readonly PullStatus[]>
  /** Calls back now and after every change until `signal` aborts, then resolves. */
  watchPulls(onChange: (pulls: readonly PullStatus[]) => void, options: Abortable): Promise<void>
  queue(options: Abortable): Promise<NodeQueue>
  /** Calls back now and after every change until `signal` aborts, then resolves. */
  watchQueue(onChange: (queue: NodeQueue) => void, options: Abortable): Promise<void>
  /** Reports of pulls that ended, newest first. Throws invalid-argument where an id is nobody's. */
  history(ask: HistoryAsk, options: Abortable): Promise<readonly PullReport[]>
  images(options: Abortable): Promise<readonly ImageSummary[]>
  /** By id (a prefix will do), tag or digest reference. Throws image-unknown. */
  inspect(name: string, options: Abortable): Promise<ImageDetail>
  /** An image whose layers stay until it is disposed, to be read by this process. Throws image-unknown, invalid-argument. */
  hold(name: string, options: Abortable): Promise<HeldImage & AsyncDisposable>
  /** Removes a tag, or an image with all its names when it is named by id or digest. Throws image-unknown. */
  remove(name: string, options: Abortable): Promise<Removal>
  /** Keeps an image. Throws image-unknown, invalid-argument. */
  pin(name: string, wish: PinWish, options: Abortable): Promise<Pinned>
  /** Takes back one owner's pin, or all. Throws image-unknown, invalid-argument for the configuration's. */
  unpin(name: string, owner: string | undefined, options: Abortable): Promise<Unpinned>
  /** Removes what nothing needs, or says what that would be. Throws invalid-argument where a runtime decides that. */
  collect(request: SweepRequest, options: Abortable): Promise<Collection>
  /** Verifies the layers of these images, of all where none is named; `done` is the last event. Throws image-unknown, passthrough. */
  verify(ask: VerifyAsk, options: Abortable & { readonly onEvent: (event: VerifyEvent) => void }): Promise<void>
  damaged(options: Abortable): Promise<readonly DamagedLayer[]>
  /** Tags that were last answered with what they had named before: their registry could not be reached. */
  staleTags(options: Abortable): Promise<readonly string[]>
  /** What holds whatever a name or digest means; nothing where it means nothing that is here. */
  why(name: string, options: Abortable): Promise<readonly HeldThing[]>
  /** Who answers; undefined inside this process. */
  daemon(options: Abortable): Promise<DaemonInfo | undefined>
  /** Hands every CRI call to the runtime, or does pulls itself again. Throws invalid-argument where there is no runtime. */
  setPassthrough(on: boolean, reason: string, options: Abortable): Promise<void>
}
