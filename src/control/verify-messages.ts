/** What is told of verifications, in windlass.v1. */
import type { Damage as DamageMessage } from '../rpc/generated/windlass/v1/Damage.ts'
import type { DamagedLayer as DamagedLayerMessage } from '../rpc/generated/windlass/v1/DamagedLayer.ts'
import type { VerifyEvent as VerifyEventMessage } from '../rpc/generated/windlass/v1/VerifyEvent.ts'
import type { Damage } from '../store/facts.ts'
import type { DamagedLayer } from '../verify/damaged.ts'
import type { VerifyEvent } from '../verify/verify.ts'

export const damageMessage = ({ foundAt, differences, first }: Damage): DamageMessage => ({
  foundAtMs: foundAt.getTime(),
  differences,
  first,
})

export const damagedMessage = ({ damage, imageIds, ...layer }: DamagedLayer): DamagedLayerMessage => ({
  ...layer,
  damage: damageMessage(damage),
  imageIds: [...imageIds],
})

export function verifyMessage(event: VerifyEvent): VerifyEventMessage {
  switch (event.type) {
    case 'planned':
      return { planned: { layers: event.layers.map(({ images, ...layer }) => ({ ...layer, images: [...images] })) } }
    case 'progress':
      return { progress: { layer: event.layer, bytes: event.bytes } }
    case 'layer':
      return { layer: { layer: event.layer, ...event.verdict, differences: [...event.verdict.differences] } }
    case 'repairing':
      return { repairing: { image: event.image } }
    case 'repair-failed':
      return { repairFailed: { image: event.image, reason: event.reason } }
    case 'done':
      return { done: { ms: event.ms } }
  }
}
