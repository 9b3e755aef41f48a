/** Events between one who must not wait and one who may be slow. */

/**
 * Takes items in order and gives them to a single reader. An item whose slot still holds an unread one takes its place, so what is
 * waiting is bounded by the number of slots; items without a slot are never dropped.
 */
export interface Mailbox<T> extends AsyncIterable<T> {
  put(item: T): void
  /** No more will come: the reader ends after what is waiting, with `error` if there is one. */
  end(error?: unknown): void
  /** No more will come once `work` has ended, whose failure is the reader's then. */
  endWith(work: Promise<unknown>): void
}

/** The slot of an event: of a layer's progress only the latest counts; everything else comes a fixed number of times for each layer. */
export const slotOfProgress = ({ type, layer }: { readonly type: string; readonly layer?: number }): string | undefined =>
  type === 'progress' ? `${layer}` : undefined

export function createMailbox<T>(slotOf: (item: T) => string | undefined): Mailbox<T> {
  const waiting = new Map<unknown, T>()
  let wake = Promise.withResolvers<void>()
  let ended: { readonly error?: unknown } | undefined
  const end = (error?: unknown): void => {
    ended ??= error === undefined ? {} : { error }
    wake.resolve()
  }
  return {
    end,
    endWith(work) {
      work.then(() => end(), end)
    },
    put(item) {
      waiting.set(slotOf(item) ?? Symbol(), item)
      wake.resolve()
    },
    async *[Symbol.asyncIterator]() {
      while (true) {
        for (const [slot, item] of waiting) {
          waiting.delete(slot)
          yield item
        }
        if (ended !== undefined) {
          if ('error' in ended) throw ended.error
          return
        }
        await wake.promise
        wake = Promise.withResolvers()
      }
    },
  }
}
