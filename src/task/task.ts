/** How work is run: everything that can take long ends when its signal says so. */
export type Abortable = { readonly signal: AbortSignal }

/** Takes bytes in order. `write` may keep nothing of `chunk` after it returns; a promise means: full, go on once it resolves. */
export interface ByteSink {
  write(chunk: Uint8Array): Promise<void> | undefined
}

/** What two have said of the same bytes: full while either is. */
export function both(one: Promise<void> | undefined, other: Promise<void> | undefined): Promise<void> | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Promise.all([one, other]).then(() => {})
}
