/**
 * One layer on its way into a staged directory: from the registry (download.ts), or from a copy on this node (copy.ts). Whatever fails,
 * nothing of it is left staged. What several pulls share of it is layers.ts's.
 */
import type { LayerId } from '../oci/digest.ts'
import type { Repository } from '../registry/registry.ts'
import type { UnpackedFacts } from '../store/facts.ts'
import type { StagedLayer, Store } from '../store/store.ts'
import type { Rank } from '../sys/rank.ts'
import type { LayerSource, UnpackedLayer, Unpacker, Unpacking } from '../unpack/unpack.ts'
import type { EarlyBlobs } from './early.ts'
import type { Log } from './log.ts'
import type { Partials } from './partials.ts'
import type { LayerReport, LayerState, PlannedLayer } from './pull.ts'
import type { Room } from './room.ts'

/**
 * Where one layer stands; read by whoever draws progress, and by who tells what was under way when a pull failed. `isUnpacked`: it waits for the layer below. `isDue`: it waits for the room that its copy needs. `unpacking`: how many of the
 * bytes nobody has unpacked yet, and what the others have become.
 */
export type LayerProgress = {
  state: LayerState
  /** `performance.now()` when it came to that state. */
  since: number
  bytes: number
  isUnpacked?: boolean
  isDue?: boolean
  unpacking?: Pick<Unpacking, 'unread' | 'unpacked'>
}

export function enter(progress: LayerProgress, state: LayerState): void {
  progress.state = state
  progress.since = performance.now()
}

export function unpacked(progress: LayerProgress): void {
  progress.isUnpacked = true
  progress.since = performance.now()
}

/** The time of a worker's job, from `began` until now, in which it had not begun: the worker's own account is of the rest. */
export const startMsOf = (began: number, { waitMs, workMs }: UnpackedLayer): number =>
  Math.max(0, performance.now() - began - waitMs - workMs)

/** Ready for its commit. */
export type Obtained = { readonly staged: StagedLayer; readonly facts: UnpackedFacts; readonly report: LayerReport }

/** Where bytes come from; `host` is named when they turn out wrong before anybody has delivered one. */
export type Origin = { readonly remote: Repository; readonly host: string }

/** Who brings layers here. `partials` where what came is kept for a restart. */
export type ArrivalCrew = {
  readonly store: Store
  readonly unpacker: Unpacker
  readonly room: Pick<Room, 'arrived' | 'due'>
  readonly log: Log
  readonly partials: Partials | undefined
  readonly early: EarlyBlobs
}

export type Arrival = ArrivalCrew & {
  readonly planned: PlannedLayer
  /** What the layer will be called. */
  readonly id: LayerId
  readonly progress: LayerProgress
  readonly signal: AbortSignal
  /** So many bytes have come; a promise where the next must wait. */
  readonly hold: (bytes: number) => Promise<void> | undefined
  /** Whether they may have to. */
  readonly isPatient: () => boolean
  /** Whether no pod waits for the layer, as far as is known now. */
  readonly isAhead: () => boolean
}

/** Runs `work` on a new staged directory, which is gone again unless something was obtained. */
export async function staging<T extends Obtained | undefined>(
  { store, planned }: Arrival,
  work: (staged: StagedLayer) => Promise<T>,
): Promise<T> {
  await using cleanup = new AsyncDisposableStack()
  const obtained = await work(cleanup.use(await store.stage(planned.diffId)))
  if (obtained !== undefined) cleanup.move()
  return obtained
}

export const openUnpacking = (
  { unpacker, planned, signal }: Arrival,
  { dir }: StagedLayer,
  source: LayerSource,
): Promise<Unpacking> => unpacker.open({ dir, diffId: planned.diffId, source }, { signal })

export const rankOf = ({ isAhead }: Arrival): Rank => (isAhead() ? 'behind' : 'usual')
