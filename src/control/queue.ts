/** `ListQueue` and `WatchQueue`: pulls in flight, and what lists declare. */
import type { Puller, PullStatus } from '../pull/pull.ts'
import type { DeclaredQueue, ImageState, QueuedImage } from '../pull/queue.ts'
import type { DeclaredQueue as DeclaredQueueMessage } from '../rpc/generated/windlass/v1/DeclaredQueue.ts'
import type { ListQueueResponse } from '../rpc/generated/windlass/v1/ListQueueResponse.ts'
import type { QueuedImage as QueuedImageMessage } from '../rpc/generated/windlass/v1/QueuedImage.ts'
import type { WindlassHandlers } from '../rpc/services.ts'
import { unlessAborted } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import { createMailbox } from './mailbox.ts'
import { pullMessage } from './messages.ts'
import { hasNoStore } from './status.ts'

/** Whoever pulls what lists declare. */
export type ControlledLists = {
  queue(): DeclaredQueue
  /** Calls back whenever the queue, or a pull in flight, may have changed. */
  watch(onChange: () => void, options: Abortable): void
  /** Resolves once the lists have been read. */
  readonly read: Promise<void>
}

/** `puller` throws passthrough, or runtime-down, while there is none. */
export function queueHandlers(
  puller: () => Pick<Puller, 'inFlight' | 'watch'>,
  lists: ControlledLists | undefined,
): Pick<WindlassHandlers, 'listQueue' | 'watchQueue'> {
  const look = (): ListQueueResponse => ({
    pulls: inFlight(puller).map(pullMessage),
    ...(lists === undefined ? {} : { declared: declaredMessage(lists.queue()) }),
  })
  return {
    async listQueue(_request, { signal }) {
      await unlessAborted(lists?.read ?? Promise.resolve(), signal)
      return look()
    },

    async *watchQueue(_request, { signal }) {
      await unlessAborted(lists?.read ?? Promise.resolve(), signal)
      const states = createMailbox<ListQueueResponse>(() => 'latest')
      const watched = lists ?? puller()
      watched.watch(() => states.put(look()), { signal })
      states.put(look())
      signal.addEventListener('abort', () => states.end(signal.reason), { once: true })
      yield* states
    },
  }
}

/** While nothing can be pulled here, nothing is under way; what is declared is told all the same. */
function inFlight(puller: () => Pick<Puller, 'inFlight'>): readonly PullStatus[] {
  try {
    return puller().inFlight()
  } catch (error) {
    if (hasNoStore(error)) return []
    throw error
  }
}

const declaredMessage = ({ lists, images, problems, held = '' }: DeclaredQueue): DeclaredQueueMessage => ({
  lists: [...lists],
  images: images.map(imageMessage),
  problems: [...problems],
  held,
})

const imageMessage = ({ list, name, priority, state }: QueuedImage): QueuedImageMessage => ({
  list,
  reference: name,
  priority,
  state: state.kind,
  ...stateMessage(state),
})

function stateMessage(state: ImageState): QueuedImageMessage {
  switch (state.kind) {
    case 'waiting':
      return { nextMs: state.until?.getTime() ?? 0 }
    case 'pulling':
      return { sinceMs: state.since.getTime(), ...state.failed }
    case 'here': {
      const { image, at, isProtected, next } = state
      return { imageId: image, sinceMs: at.getTime(), isProtected, nextMs: next?.getTime() ?? 0 }
    }
    case 'failed':
      return { reason: state.reason, attempts: state.attempts, nextMs: state.next.getTime() }
  }
}
