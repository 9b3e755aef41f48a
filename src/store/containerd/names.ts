/** The names and labels containerd and its CRI plugin go by, and ours among them. */
import { chainIds, type DiffId, type Digest, hexOf, type LayerId, parseDigest, sha256 } from '../../oci/digest.ts'

/** Where the CRI plugin keeps its images. */
export const NAMESPACE = 'k8s.io'
export const SNAPSHOTTER = 'overlayfs'

/** Labels of containerd's garbage collection: what it may remove when, and what holds what. */
export const gc = {
  expire: 'containerd.io/gc.expire',
  config: 'containerd.io/gc.ref.content.config',
  manifest: (at: number) => `containerd.io/gc.ref.content.m.${at}`,
  layer: (at: number) => `containerd.io/gc.ref.content.l.${at}`,
  /** On the config, with the top chainID: this alone keeps an image's snapshots. */
  snapshot: `containerd.io/gc.ref.snapshot.${SNAPSHOTTER}`,
} as const

/** On a layer's blob: its diffID. */
export const UNCOMPRESSED = 'containerd.io/uncompressed'
/** The chainID a snapshot is for. */
export const SNAPSHOT_REF = 'containerd.io/snapshot.ref'
/** On what is fetched: `repository[,repository]` of that host. */
export const sourceLabel = (host: string): string => `containerd.io/distribution.source.${host}`

/** Image records the CRI plugin counts as its own, and those kubelet's collection must leave. */
export const MANAGED = { 'io.cri-containerd.image': 'managed' } as const
export const PINNED = { 'io.cri-containerd.pinned': 'pinned' } as const

/** Ours, before an owner's name: a pin, as JSON. */
export const PIN = 'windlass.dev/pin.'
/** Ours: whose lease it is; what a layer turned out to be, as JSON. */
export const OWNER = 'windlass.dev/owner'
export const FACTS = 'windlass.dev/layer'

/** A committed snapshot's name: the chainID (image-spec config.md, "Layer ChainID"). */
export const chainIdOf = (id: LayerId): Digest => parseDigest(`sha256:${id}`)
/** This store calls a layer by the hex part of its chainID. */
const layerIdOf = (chainId: Digest): LayerId => hexOf(chainId) as LayerId
export const layerIdsOf = (diffIds: readonly DiffId[]): readonly LayerId[] => chainIds(diffIds).map(layerIdOf)
/** The same above a parent. */
export const layerIdAbove = (parent: LayerId | undefined, diffId: DiffId): LayerId =>
  layerIdOf(parent === undefined ? diffId : sha256(`${chainIdOf(parent)} ${diffId}`))
