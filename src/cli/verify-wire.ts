/** What the control service tells of verifications, as the domain's own values. */
import { isLayerId, type LayerId, parseDiffId } from '../oci/digest.ts'
import type { DamagedLayer__Output } from '../rpc/generated/windlass/v1/DamagedLayer.ts'
import type { LayerToVerify__Output } from '../rpc/generated/windlass/v1/LayerToVerify.ts'
import type { VerifiedLayer__Output } from '../rpc/generated/windlass/v1/VerifiedLayer.ts'
import type { VerifyEvent__Output } from '../rpc/generated/windlass/v1/VerifyEvent.ts'
import { DIFFERENCE_KINDS } from '../unpack/unpack.ts'
import type { DamagedLayer } from '../verify/damaged.ts'
import { DIGESTS, type LayerToVerify, type LayerVerdict, OUTCOMES, type VerifyEvent } from '../verify/verify.ts'
import { damageOf, oneOf, sent } from './wire.ts'

/** Undefined for an event this version does not know. */
export function verifyEventOf(message: VerifyEvent__Output): VerifyEvent | undefined {
  const { planned, progress, layer, repairing, repairFailed, done } = message
  if (planned) return { type: 'planned', layers: planned.layers.map(toVerifyOf) }
  if (progress) return { type: 'progress', layer: progress.layer, bytes: progress.bytes }
  if (layer) return { type: 'layer', layer: layer.layer, verdict: verdictOf(layer) }
  if (repairing) return { type: 'repairing', image: repairing.image }
  if (repairFailed) return { type: 'repair-failed', image: repairFailed.image, reason: repairFailed.reason }
  if (done) return { type: 'done', ms: done.ms }
  return undefined
}

const toVerifyOf = ({ layerId, diffId, ...layer }: LayerToVerify__Output): LayerToVerify => ({
  ...layer,
  layerId: layerIdOf(layerId),
  diffId: parseDiffId(diffId),
})

const layerIdOf = (text: string): LayerId => sent(isLayerId(text) ? text : undefined, 'layer id')

const verdictOf = ({ outcome, differences, total, digest, reason, ms }: VerifiedLayer__Output): LayerVerdict => ({
  outcome: oneOf(OUTCOMES, outcome, 'outcome'),
  differences: differences.map(({ kind, ...rest }) => ({ ...rest, kind: oneOf(DIFFERENCE_KINDS, kind, 'kind of difference') })),
  total,
  digest: oneOf(DIGESTS, digest, 'digest'),
  ...(reason === '' ? {} : { reason }),
  ms,
})

export const damagedOf = ({ damage, ...layer }: DamagedLayer__Output): DamagedLayer => ({
  ...layer,
  damage: damageOf(sent(damage, 'damage')),
})
