/** What the control service sends, as the domain's own values. The daemon may be of another version, so nothing is taken on trust. */
import { fail } from '../failure/failure.ts'
import type { Pinned, Unpinned } from '../gc/pinning.ts'
import type { Removal } from '../gc/remove.ts'
import { type HeldThing, HOLDS, THINGS } from '../gc/why.ts'
import { parseDiffId, parseDigest } from '../oci/digest.ts'
import type { Descriptor, Platform } from '../oci/oci.ts'
import { normalizePlatform } from '../platform/platform.ts'
import { type Content, FITS, type LookedUp, type Offer } from '../pull/look.ts'
import {
  CLIENTS,
  LAYER_ORIGINS,
  LAYER_STATES,
  type LayerReport,
  PHASES,
  type PullEvent,
  type PullPlan,
  type PullStatus,
  STANDS,
  STEPS,
  type UnfinishedLayer,
} from '../pull/pull.ts'
import type { PullReport } from '../pull/report.ts'
import type { CollectResponse__Output } from '../rpc/generated/windlass/v1/CollectResponse.ts'
import type { Damage__Output } from '../rpc/generated/windlass/v1/Damage.ts'
import type { Descriptor__Output } from '../rpc/generated/windlass/v1/Descriptor.ts'
import type { Document__Output } from '../rpc/generated/windlass/v1/Document.ts'
import type { HeldThing__Output } from '../rpc/generated/windlass/v1/HeldThing.ts'
import type { ImageLayer__Output } from '../rpc/generated/windlass/v1/ImageLayer.ts'
import type { InfoResponse__Output } from '../rpc/generated/windlass/v1/InfoResponse.ts'
import type { LayerDone__Output } from '../rpc/generated/windlass/v1/LayerDone.ts'
import type { ListPlatformsResponse__Output } from '../rpc/generated/windlass/v1/ListPlatformsResponse.ts'
import type { LookUpResponse__Output } from '../rpc/generated/windlass/v1/LookUpResponse.ts'
import type { Pin__Output } from '../rpc/generated/windlass/v1/Pin.ts'
import type { PinResponse__Output } from '../rpc/generated/windlass/v1/PinResponse.ts'
import type { Plan__Output } from '../rpc/generated/windlass/v1/Plan.ts'
import type { PullEvent__Output } from '../rpc/generated/windlass/v1/PullEvent.ts'
import type { PullInFlight__Output } from '../rpc/generated/windlass/v1/PullInFlight.ts'
import type { PullReport__Output } from '../rpc/generated/windlass/v1/PullReport.ts'
import type { Receipt__Output } from '../rpc/generated/windlass/v1/Receipt.ts'
import type { RemoveImageResponse__Output } from '../rpc/generated/windlass/v1/RemoveImageResponse.ts'
import type { UnfinishedLayer__Output } from '../rpc/generated/windlass/v1/UnfinishedLayer.ts'
import type { ImageLayer } from '../store/detail.ts'
import type { Damage } from '../store/facts.ts'
import type { Pin } from '../store/pins.ts'
import type { Receipt } from '../store/receipts.ts'
import type { Collection, DaemonInfo } from './backend.ts'

/** A field that proto3 lets be absent and our service always sends. */
export function sent<T>(value: T | null | undefined, field: string): T {
  return value ?? fail({ kind: 'internal', what: `the daemon sent no ${field}; is it of another version?` })
}

export function oneOf<T extends string>(choices: readonly T[], text: string, field: string): T {
  return sent(
    choices.find((choice) => choice === text),
    `known ${field}`,
  )
}

export function descriptorOf(wire: Descriptor__Output | null, field: string): Descriptor {
  const { mediaType, digest, size } = sent(wire, field)
  return { mediaType, digest: parseDigest(digest, field), size }
}

/** An image says of itself what it is for, which may be anything: somebody else's image must not end a list of pulls. */
function platformOf(text: string): Platform {
  const [os = '', architecture = '', ...rest] = text.split('/')
  return normalizePlatform({ os, architecture, ...(rest.length === 0 ? {} : { variant: rest.join('/') }) })
}

export const planOf = (wire: Plan__Output): PullPlan => ({
  reference: wire.reference,
  platform: platformOf(wire.platform),
  root: descriptorOf(wire.root, 'root'),
  manifest: descriptorOf(wire.manifest, 'manifest'),
  imageId: parseDigest(wire.imageId, 'image id'),
  layers: wire.layers.map((layer) => ({
    blob: descriptorOf(layer.blob, 'layer'),
    diffId: parseDiffId(layer.diffId),
    origin: oneOf(LAYER_ORIGINS, layer.origin, 'origin'),
  })),
  present: wire.present,
  bytesToFetch: wire.bytesToFetch,
  bytesHere: wire.bytesHere,
})

function contentOf(wire: Document__Output | null, field: string): Content {
  const { descriptor, content } = sent(wire, field)
  return { descriptor: descriptorOf(descriptor, field), bytes: content }
}

export const lookedUpOf = ({ reference, host, root, manifest, config }: LookUpResponse__Output): LookedUp => ({
  reference,
  host,
  root: contentOf(root, 'root'),
  ...(manifest === null ? {} : { image: { manifest: contentOf(manifest, 'manifest'), config: contentOf(config, 'config') } }),
})

export const offerOf = ({ root, platforms, ...offer }: ListPlatformsResponse__Output): Offer => ({
  ...offer,
  root: descriptorOf(root, 'root'),
  platforms: platforms.map(({ platform, manifest, fit }) => ({
    ...(platform === '' ? {} : { platform }),
    manifest: descriptorOf(manifest, 'manifest'),
    fit: oneOf(FITS, fit, 'fit'),
  })),
})

/** Undefined for an event this version does not know: a newer daemon may tell more. */
export function eventOf({ begun, resolved, planned, room, ...more }: PullEvent__Output): PullEvent | undefined {
  const { progress, layer, sealed, done, stopped } = more
  if (begun) {
    const { id, reference, client, startedAtMs } = begun
    return { type: 'begun', id, reference, client: oneOf(CLIENTS, client, 'client'), startedAt: new Date(startedAtMs) }
  }
  if (resolved) {
    const { platform, host, ms, queuedMs, tokenMs } = resolved
    const root = descriptorOf(resolved.root, 'root')
    return {
      type: 'resolved',
      root,
      manifest: descriptorOf(resolved.manifest, 'manifest'),
      platform: platformOf(platform),
      host,
      ms,
      queuedMs,
      tokenMs,
    }
  }
  if (planned) return { type: 'planned', plan: planOf(sent(planned.plan, 'plan')) }
  if (room) return { type: 'room', ms: room.ms }
  if (progress) {
    const { layer, state, bytes } = progress
    return { type: 'progress', layer, state: oneOf(LAYER_STATES, state, 'layer state'), bytes }
  }
  if (layer) return { type: 'layer', layer: layer.layer, report: reportOf(layer) }
  if (sealed) return { type: 'sealed', syncMs: sealed.syncMs, publishMs: sealed.publishMs }
  if (done) return { type: 'done', imageId: parseDigest(done.imageId, 'image id'), ms: done.ms, verdict: done.verdict }
  if (stopped)
    return { type: 'stopped', ...stopped, step: oneOf(STEPS, stopped.step, 'step'), layers: stopped.layers.map(unfinishedOf) }
  return undefined
}

const unfinishedOf = ({ state, ...layer }: UnfinishedLayer__Output): UnfinishedLayer => ({
  ...layer,
  state: oneOf(STANDS, state, 'layer state'),
})

function reportOf({ origin, host, layer: _, ...counts }: LayerDone__Output): LayerReport {
  return { ...counts, origin: oneOf(LAYER_ORIGINS, origin, 'origin'), ...(host === '' ? {} : { host }) }
}

export const pullReportOf = ({ client, layers, unfinished, failureKind, failure, ...wire }: PullReport__Output): PullReport => {
  const { failureCause, platform, host, imageId, ...report } = wire
  return {
    ...report,
    client: oneOf(CLIENTS, client, 'client'),
    ...(platform === '' ? {} : { platform }),
    ...(host === '' ? {} : { host }),
    ...(imageId === '' ? {} : { imageId }),
    layers: layers.map((layer) => {
      const told = sent(layer.report, 'report of a layer')
      const { warnings, ...facts } = reportOf(told)
      return { layer: told.layer, digest: layer.digest, ...facts, warnings: [...warnings] }
    }),
    unfinished: unfinished.map(unfinishedOf),
    ...(failureKind === '' ? {} : { failure: { kind: failureKind, message: failure, ...causeOf(failureCause) } }),
  }
}

const causeOf = (cause: string): { readonly cause?: string } => (cause === '' ? {} : { cause })

export const statusOf = (wire: PullInFlight__Output): PullStatus => ({
  id: wire.id,
  reference: wire.reference,
  platform: platformOf(wire.platform),
  clients: wire.clients.map((client) => oneOf(CLIENTS, client, 'client')),
  startedAt: new Date(wire.startedAtMs),
  phase: oneOf(PHASES, wire.phase, 'phase'),
  layers: wire.layers.map(({ digest, size, state, bytes }) => ({
    digest: parseDigest(digest, 'layer'),
    size,
    state: oneOf(LAYER_STATES, state, 'layer state'),
    bytes,
  })),
})

/** What proto3 calls optional the loader gives twice: once more under its name with a line before it, to say that it is set. */
export const layerOf = ({ blob, damage, _diffSize, _entries, _whiteouts, ...layer }: ImageLayer__Output): ImageLayer => ({
  ...layer,
  blob: descriptorOf(blob, 'layer'),
  ...(damage === null ? {} : { damage: damageOf(damage) }),
})

export const removalOf = ({ _layersRemoved, _bytesFreed, kept, ...removal }: RemoveImageResponse__Output): Removal => ({
  ...removal,
  kept: kept.map(heldOf),
})

export const damageOf = ({ foundAtMs, ...damage }: Damage__Output): Damage => ({ ...damage, foundAt: new Date(foundAtMs) })

export const pinOf = ({ owner, reason, sinceMs, untilMs }: Pin__Output): Pin => ({
  owner,
  reason,
  since: new Date(sinceMs),
  ...(untilMs === 0 ? {} : { until: new Date(untilMs) }),
})

export const receiptOf = ({ atMs, ...receipt }: Receipt__Output): Receipt => ({ ...receipt, at: new Date(atMs) })

export const pinnedOf = ({ imageId, pins }: PinResponse__Output): Pinned => ({
  imageId: parseDigest(imageId, 'image id'),
  pins: pins.map(pinOf),
})

export const unpinnedOf = ({ left, ...pinned }: PinResponse__Output): Unpinned => ({
  ...pinnedOf({ ...pinned, left }),
  left: left.map(pinOf),
})

export const collectionOf = ({ disk, images, kept, keptLayers, layers, bytes }: CollectResponse__Output): Collection => ({
  disk: sent(disk, 'disk'),
  images: images.map(({ usedAtMs, ...image }) => ({ ...image, usedAt: new Date(usedAtMs) })),
  kept,
  keptLayers: keptLayers.map(heldOf),
  layers,
  bytes,
})

export const heldOf = ({ kind, holds, ...thing }: HeldThing__Output): HeldThing => ({
  ...thing,
  kind: oneOf(THINGS, kind, 'kind of thing'),
  holds: holds.map((hold) => ({ ...hold, kind: oneOf(HOLDS, hold.kind, 'kind of hold') })),
})

export function infoOf(wire: InfoResponse__Output): DaemonInfo {
  const { version, pid, root, runtime, passthrough, disk, imageBytes } = wire
  const own = { version, pid, root, ...(disk === null ? {} : { disk: { ...disk, imageBytes } }) }
  if (runtime === null) return own
  const { kind, socket, obstacles, missing, down, version: runtimeVersion } = runtime
  const { on = false, reason = '', sinceMs = 0 } = passthrough ?? {}
  const state = { on, reason, ...(on ? { since: new Date(sinceMs) } : {}) }
  const said = { kind, socket, version: runtimeVersion, obstacles, missing, down }
  return { ...own, runtime: { ...said, passthrough: state } }
}
