/** One image of one list, and where it stands with the pre-puller. */
import type { Failed, ImageState } from '../pull/queue.ts'
import { backoffMs, jittered } from './backoff.ts'
import type { Kept } from './keeping.ts'
import type { DeclaredImage, ImageList } from './prepull.ts'

const REFRESH_MS = 3_600_000
/** What is here is looked for again so often, in the store alone, and its pins are renewed. */
const LOOK_MS = 60_000

export type Entry = {
  readonly list: ImageList
  readonly image: DeclaredImage
  state: ImageState
  /** When it is looked at next. */
  due: number
  /** When the registry is asked again, where it is. */
  refresh: number
  /** That failed in a row. */
  attempts: number
}

export const keyOf = ({ list, image }: Pick<Entry, 'list' | 'image'>): string => `${list.name} ${image.name}`

export const waiting = (list: ImageList, image: DeclaredImage, due: number): Entry => ({
  list,
  image,
  state: { kind: 'waiting', ...(due > Date.now() ? { until: new Date(due) } : {}) },
  due,
  refresh: 0,
  attempts: 0,
})

/** An attempt begins; returns where it stood before. */
export function begin(entry: Entry): ImageState {
  const before = entry.state
  entry.state = { kind: 'pulling', since: new Date(), ...failedIn(before) }
  return before
}

export const mustAsk = ({ image, refresh }: Entry): boolean => image.policy === 'Always' && Date.now() >= refresh

/** It is here. */
export function hasCome(entry: Entry, kept: Kept, before: ImageState, random: () => number): void {
  const { image } = entry
  if (kept.isPulled) entry.refresh = Date.now() + jittered(image.refreshMs ?? REFRESH_MS, random)
  entry.attempts = 0
  entry.due = Date.now() + jittered(LOOK_MS, random)
  const at = before.kind === 'here' && !kept.isPulled ? before.at : new Date()
  const next = image.policy === 'Always' ? { next: new Date(entry.refresh) } : {}
  entry.state = { kind: 'here', image: kept.id, at, isProtected: kept.isProtected, ...next }
}

/** The attempt failed; returns after how long there is another. */
export function hasFailed(entry: Entry, reason: string, random: () => number): number {
  entry.attempts++
  const wait = backoffMs(entry.attempts, random)
  entry.due = Date.now() + wait
  entry.state = { kind: 'failed', reason, attempts: entry.attempts, next: new Date(entry.due) }
  return wait
}

/** What an attempt that begins now comes after. */
function failedIn(state: ImageState): { readonly failed?: Failed } {
  if (state.kind !== 'failed') return {}
  const { reason, attempts } = state
  return { failed: { reason, attempts } }
}
