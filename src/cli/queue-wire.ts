/** The queue as the control service sends it, as the domain's own values. */
import type { ImageState, QueuedImage } from '../pull/queue.ts'
import { IMAGE_STATES } from '../pull/queue.ts'
import type { ListQueueResponse__Output } from '../rpc/generated/windlass/v1/ListQueueResponse.ts'
import type { QueuedImage__Output } from '../rpc/generated/windlass/v1/QueuedImage.ts'
import type { NodeQueue } from './backend.ts'
import { oneOf, statusOf } from './wire.ts'

export function queueOf({ pulls, declared }: ListQueueResponse__Output): NodeQueue {
  const shown = { pulls: pulls.map(statusOf) }
  if (declared === null) return shown
  const { lists, images, problems, held } = declared
  return { ...shown, declared: { lists, images: images.map(imageOf), problems, ...(held === '' ? {} : { held }) } }
}

const imageOf = (wire: QueuedImage__Output): QueuedImage => ({
  list: wire.list,
  name: wire.reference,
  priority: wire.priority,
  state: stateOf(wire),
})

function stateOf({ state, sinceMs, nextMs, reason, attempts, imageId, isProtected }: QueuedImage__Output): ImageState {
  const kind = oneOf(IMAGE_STATES, state, 'state of an image')
  const at = (ms: number): Date | undefined => (ms === 0 ? undefined : new Date(ms))
  const [until, since] = [at(nextMs), new Date(sinceMs)]
  switch (kind) {
    case 'waiting':
      return { kind, ...(until === undefined ? {} : { until }) }
    case 'pulling':
      return { kind, since, ...(attempts === 0 ? {} : { failed: { reason, attempts } }) }
    case 'here':
      return { kind, image: imageId, at: since, isProtected, ...(until === undefined ? {} : { next: until }) }
    case 'failed':
      return { kind, reason, attempts, next: new Date(nextMs) }
  }
}
