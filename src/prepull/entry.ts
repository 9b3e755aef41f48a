/** One image of one list, and where it stands with the pre-puller. */
import type { Failed, ImageState } from '../pull/queue.ts'
import type { DeclaredImage, ImageList } from './prepull.ts'

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

/** What an attempt that begins now comes after. */
export function failedIn(state: ImageState): { readonly failed?: Failed } {
  if (state.kind !== 'failed') return {}
  const { reason, attempts } = state
  return { failed: { reason, attempts } }
}
