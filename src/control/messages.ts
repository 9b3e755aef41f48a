/** Domain → windlass.v1, field by field. */
import { describe, type Failure } from '../failure/failure.ts'
import type { Swept } from '../gc/housekeeper.ts'
import type { Removal } from '../gc/remove.ts'
import type { HeldThing } from '../gc/why.ts'
import type { Descriptor } from '../oci/oci.ts'
import { formatPlatform } from '../platform/platform.ts'
import type { Content, LookedUp, Offer } from '../pull/look.ts'
import type { PullEvent, PullPlan, PullStatus, Told } from '../pull/pull.ts'
import type { PullReport } from '../pull/report.ts'
import type { CollectResponse } from '../rpc/generated/windlass/v1/CollectResponse.ts'
import type { Descriptor as DescriptorMessage } from '../rpc/generated/windlass/v1/Descriptor.ts'
import type { Document as DocumentMessage } from '../rpc/generated/windlass/v1/Document.ts'
import type { HeldThing as HeldThingMessage } from '../rpc/generated/windlass/v1/HeldThing.ts'
import type { InfoResponse } from '../rpc/generated/windlass/v1/InfoResponse.ts'
import type { InspectImageResponse } from '../rpc/generated/windlass/v1/InspectImageResponse.ts'
import type { ListPlatformsResponse } from '../rpc/generated/windlass/v1/ListPlatformsResponse.ts'
import type { LookUpResponse } from '../rpc/generated/windlass/v1/LookUpResponse.ts'
import type { Passthrough as PassthroughMessage } from '../rpc/generated/windlass/v1/Passthrough.ts'
import type { Pin as PinMessage } from '../rpc/generated/windlass/v1/Pin.ts'
import type { Plan } from '../rpc/generated/windlass/v1/Plan.ts'
import type { PullEvent as PullEventMessage } from '../rpc/generated/windlass/v1/PullEvent.ts'
import type { PullInFlight } from '../rpc/generated/windlass/v1/PullInFlight.ts'
import type { PullReport as PullReportMessage } from '../rpc/generated/windlass/v1/PullReport.ts'
import type { RemoveImageResponse } from '../rpc/generated/windlass/v1/RemoveImageResponse.ts'
import type { Passthrough, PassthroughState } from '../runtime/passthrough.ts'
import type { RuntimeAddress, RuntimeFacts } from '../runtime/runtime.ts'
import type { ImageDetail } from '../store/detail.ts'
import type { Pin } from '../store/pins.ts'
import type { StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import { diskMessage } from './disk.ts'
import { damageMessage } from './verify-messages.ts'

/** The runtime whose images these are. */
export type ControlledRuntime = {
  readonly address: RuntimeAddress
  readonly passthrough: Passthrough
  /** Undefined while it has not answered. */
  readonly facts: () => RuntimeFacts | undefined
  /** Why there is no pull path just now. */
  readonly missing: () => string | undefined
  /** Why nobody can pull just now: the runtime is down. */
  readonly down: (options: Abortable) => Promise<Failure | undefined>
}

const descriptorMessage = ({ mediaType, digest, size }: Descriptor): DescriptorMessage => ({ mediaType, digest, size })

export const toldMessage = ({ event, atMs }: Told): PullEventMessage => ({ ...eventMessage(event), atMs })

function eventMessage(event: PullEvent): PullEventMessage {
  switch (event.type) {
    case 'begun':
      return { begun: { id: event.id, reference: event.reference, client: event.client, startedAtMs: event.startedAt.getTime() } }
    case 'resolved':
      return {
        resolved: {
          root: descriptorMessage(event.root),
          manifest: descriptorMessage(event.manifest),
          platform: formatPlatform(event.platform),
          host: event.host,
          ms: event.ms,
          queuedMs: event.queuedMs,
          tokenMs: event.tokenMs,
        },
      }
    case 'planned':
      return { planned: { plan: planMessage(event.plan) } }
    case 'room':
      return { room: { ms: event.ms } }
    case 'progress':
      return { progress: { layer: event.layer, state: event.state, bytes: event.bytes } }
    case 'layer':
      return { layer: { layer: event.layer, ...event.report, warnings: [...event.report.warnings] } }
    case 'sealed':
      return { sealed: { syncMs: event.syncMs, publishMs: event.publishMs } }
    case 'done':
      return { done: { imageId: event.imageId, ms: event.ms, verdict: event.verdict } }
    case 'stopped': {
      const { type: _, layers, ...stopped } = event
      return { stopped: { ...stopped, layers: [...layers] } }
    }
  }
}

export const planMessage = (plan: PullPlan): Plan => ({
  reference: plan.reference,
  platform: formatPlatform(plan.platform),
  root: descriptorMessage(plan.root),
  manifest: descriptorMessage(plan.manifest),
  imageId: plan.imageId,
  layers: plan.layers.map(({ blob, diffId, origin }) => ({ blob: descriptorMessage(blob), diffId, origin })),
  present: plan.present,
  bytesToFetch: plan.bytesToFetch,
  bytesHere: plan.bytesHere,
})

export const reportMessage = ({ layers, failure, ...report }: PullReport): PullReportMessage => ({
  ...report,
  layers: layers.map(({ digest, ...layer }) => ({ digest, report: layer })),
  ...(failure === undefined ? {} : { failureKind: failure.kind, failure: failure.message, failureCause: failure.cause ?? '' }),
})

const documentMessage = ({ descriptor, bytes }: Content): DocumentMessage => ({
  descriptor: descriptorMessage(descriptor),
  content: bytes,
})

export const lookedUpMessage = ({ reference, host, root, image }: LookedUp): LookUpResponse => ({
  reference,
  host,
  root: documentMessage(root),
  ...(image === undefined ? {} : { manifest: documentMessage(image.manifest), config: documentMessage(image.config) }),
})

export const offerMessage = ({ root, platforms, ...offer }: Offer): ListPlatformsResponse => ({
  ...offer,
  root: descriptorMessage(root),
  platforms: platforms.map(({ platform = '', manifest, fit }) => ({ platform, manifest: descriptorMessage(manifest), fit })),
})

export const pullMessage = (pull: PullStatus): PullInFlight => ({
  id: pull.id,
  reference: pull.reference,
  platform: formatPlatform(pull.platform),
  clients: [...pull.clients],
  startedAtMs: pull.startedAt.getTime(),
  phase: pull.phase,
  layers: pull.layers.map(({ digest, size, state, bytes }) => ({ digest, size, state, bytes })),
})

export const pinMessage = ({ owner, reason, since, until }: Pin): PinMessage => ({
  owner,
  reason,
  sinceMs: since.getTime(),
  untilMs: until?.getTime() ?? 0,
})

export const removalMessage = ({ untagged, kept, ...removal }: Removal): RemoveImageResponse => ({
  ...removal,
  untagged: [...untagged],
  kept: kept.map(heldMessage),
})

export const sweptMessage = ({ disk, images, stays, keptLayers, layers, bytes }: Swept): CollectResponse => ({
  disk: diskMessage(disk),
  images: images.map(({ image, reason, bytes }) => ({
    id: image.id,
    names: namesOf(image),
    reason,
    usedAtMs: image.usedAt.getTime(),
    bytes,
  })),
  kept: stays.map(({ image, reason, detail }) => ({ id: image.id, names: namesOf(image), reason, detail })),
  keptLayers: keptLayers.map(heldMessage),
  layers,
  bytes,
})

export const heldMessage = ({ names, holds, ...thing }: HeldThing): HeldThingMessage => ({
  ...thing,
  names: [...names],
  holds: [...holds],
})

const namesOf = ({ tags, digests }: StoredImage): string[] => [...tags, ...digests]

export const detailMessage = ({
  pulledAt,
  usedAt,
  pins,
  expiresAt,
  receipts,
  receiptsSince,
  configJson,
  manifestJson,
  config: _,
  ...image
}: ImageDetail): InspectImageResponse => ({
  ...image,
  tags: [...image.tags],
  digests: [...image.digests],
  manifest: descriptorMessage(image.manifest),
  pulledAtMs: pulledAt.getTime(),
  usedAtMs: usedAt.getTime(),
  pins: pins.map(pinMessage),
  expiresAtMs: expiresAt?.getTime() ?? 0,
  receipts: receipts.map(({ at, ...receipt }) => ({ ...receipt, atMs: at.getTime() })),
  receiptsSinceMs: receiptsSince?.getTime() ?? 0,
  configJson: Buffer.from(configJson),
  manifestJson: Buffer.from(manifestJson),
  layers: image.layers.map(({ damage, ...layer }) => ({
    ...layer,
    blob: descriptorMessage(layer.blob),
    ...(damage === undefined ? {} : { damage: damageMessage(damage) }),
  })),
})

export const passthroughMessage = (state: PassthroughState): PassthroughMessage =>
  state.on ? { on: true, reason: state.reason, sinceMs: state.since.getTime() } : { on: false }

export async function runtimeMessages(
  { address, passthrough, facts, missing, down }: ControlledRuntime,
  options: Abortable,
): Promise<InfoResponse> {
  const failure = await down(options)
  const said = facts()
  const why = missing()
  return {
    runtime: {
      ...address,
      ...(said === undefined ? {} : { version: said.version, obstacles: [...said.obstacles] }),
      ...(why === undefined ? {} : { missing: why }),
      ...(failure === undefined ? {} : { down: describe(failure) }),
    },
    passthrough: passthroughMessage(passthrough.state()),
  }
}
