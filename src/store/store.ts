/**
 * Where images live. A layer is staged in a directory of its own, committed under its place in a chain, and becomes findable by others
 * at once; it survives a restart only when an image that names it has been published, because only then is it known to be on disk.
 *
 *     stage → (unpack writes) → commit, chain order → publish: one sync, then one transaction → the image is visible
 *
 * A `Lease` keeps what it retains from being collected while a pull is under way. What no image and no lease holds is removed by
 * `collect`.
 */
import type { Failure } from '../failure/failure.ts'
import type { DiffId, Digest, LayerId } from '../oci/digest.ts'
import type { Descriptor, ImageConfig, Platform } from '../oci/oci.ts'
import type { Abortable, ByteSink } from '../task/task.ts'
import type { Expiries, Expiry } from './expiry.ts'
import type { Damage, UnpackedFacts } from './facts.ts'
import type { Pin } from './pins.ts'
import type { Receipt, ReceiptBook } from './receipts.ts'

/** A committed layer. `diff` is its lowerdir; `short` is a path below `overlayDir` of at most 28 bytes that leads to the same. */
export type StoredLayer = {
  readonly id: LayerId
  readonly parent?: LayerId
  readonly diff: string
  /** Absent where the store keeps none; `unverifiable` says why, then. */
  readonly tarSplit?: string
  readonly unverifiable?: string
  readonly short: string
  /** Both absent where a runtime unpacked it: it keeps no such figures, and the diffID only in the images' configs. */
  readonly diffId?: DiffId
  readonly facts?: UnpackedFacts
  /** Set where its tree is known to differ from the layer. Mounts and bundles get it all the same; a pull brings it again. */
  readonly damage?: Damage
}

/** A layer that was unpacked here. */
export type OwnLayer = StoredLayer & { readonly diffId: DiffId; readonly facts: UnpackedFacts }

/** A layer whose tar can be put together again. */
export type CopyableLayer = OwnLayer & { readonly tarSplit: string }

/** A published image. */
export type StoredImage = {
  /** Digest of the config: CRI's id. */
  readonly id: Digest
  /** `host/repository:tag`, normal form, newest last. */
  readonly tags: readonly string[]
  /** `host/repository@digest` of what the reference named (an index, where there is one). */
  readonly digests: readonly string[]
  readonly manifest: Descriptor
  readonly config: ImageConfig
  /** The documents as they came: the config, the manifest, and the index where there was one. */
  readonly configBytes: Uint8Array
  readonly manifestBytes: Uint8Array
  readonly indexBytes?: Uint8Array
  /** Layer blobs as the manifest lists them, base first, and the layers' ids in the same order. */
  readonly layers: readonly Descriptor[]
  readonly layerIds: readonly LayerId[]
  /** Bytes as containerd counts them: config, manifest and compressed layers. */
  readonly size: number
  readonly pulledAt: Date
  /** When it was last pulled, or found in use; as exact as the store keeps it. */
  readonly usedAt: Date
  /** Whose wish it is that it stays, those whose time is over included (`isPinned`). */
  readonly pins: readonly Pin[]
  /** Set where the runtime whose store it is removes it, or some of its names, by itself. */
  readonly expiry?: Expiry
}

/** What a pull publishes: one name for one image. */
export type NewImage = Pick<
  StoredImage,
  'id' | 'manifest' | 'config' | 'configBytes' | 'manifestBytes' | 'indexBytes' | 'layers'
> & {
  /** `host/repository:tag`; absent for a pull by digest. */
  readonly tag?: string
  /** `host/repository@digest`. */
  readonly digest: string
  /** Of the pull that publishes it; kept with the image from the first moment. */
  readonly receipt?: Receipt
}

/** Use of the file system the store is on. */
export type Usage = {
  readonly mountpoint: string
  readonly usedBytes: number
  readonly inodesUsed: number
  readonly measuredAt: Date
}

/** A directory to unpack into. Disposing it removes what is in it, unless it was committed. */
export interface StagedLayer extends AsyncDisposable {
  readonly dir: string
  readonly diffId: DiffId
}

/** What a lease is for: a `pull` uses the images it stands on, who `read`s layers (to compare or to copy them) uses no image. */
export type LeaseUse = 'pull' | 'read'

/** Keeps layers from being collected until it is disposed. */
export interface Lease extends AsyncDisposable {
  /**
   * Holds these, base first, as far as they are here, and what will be committed under these ids. An image over them that a collection is
   * removing has gone, or stays, when this resolves: whoever counts on one looks for it afterwards.
   */
  retain(layers: readonly LayerId[]): Promise<void>
}

/** How long publishing took, in milliseconds. */
export type Published = { readonly image: StoredImage; readonly syncMs: number; readonly publishMs: number }

/** Keeps layers' blobs as they were fetched, beside what was unpacked of them. */
export interface BlobKeeper {
  /**
   * Takes in the blob that `layer` comes out of; undefined where it is here already. The signal ends what it returns, too. Throws runtime,
   * runtime-down, the signal's reason.
   */
  keep(blob: Descriptor, layer: LayerId, options: Abortable): Promise<KeptBlob | undefined>
}

/** A blob being written. Disposing it before `commit` throws it away. */
export interface KeptBlob extends ByteSink, AsyncDisposable {
  /** That was all. It stays as long as a pull or an image needs its layer. Throws runtime, runtime-down, the signal's reason. */
  commit(): Promise<void>
}

/** A layer of a store that decides for itself what stays, and what removing it would give back. */
export type HeldLayer = OwnLayer & { readonly usedBytes: number; readonly inodesUsed: number }

/** One that a collection removed. What it took up is known of a store of ours alone. */
export type CollectedLayer = OwnLayer & Partial<Pick<HeldLayer, 'usedBytes'>>

/** What holds layers beside images, as far as this process can see. */
export type Holders = {
  /** By pulls in flight. */
  readonly leased: ReadonlySet<LayerId>
  /** By those who read them: the layers stay meanwhile, their images are not in use for that. */
  readonly read: ReadonlySet<LayerId>
  /** Where each is part of an overlay mount of this mount namespace. */
  readonly mounted: ReadonlyMap<LayerId, readonly string[]>
  /** By stores of podman and CRI-O that build on ours; where that cannot be told, why, and everything counts as held. */
  readonly adopted:
    | { readonly kind: 'known'; readonly layers: ReadonlySet<LayerId> }
    | { readonly kind: 'unknown'; readonly why: string }
}

/** What is here and what holds it. */
export type Inventory = {
  readonly images: readonly StoredImage[]
  readonly layers: readonly HeldLayer[]
  readonly holders: Holders
  /** What was removed and is not unlinked yet. */
  readonly leaving: { readonly bytes: number; readonly inodes: number }
}

export interface Holdings {
  /** All of one moment, asked anew each time. Throws system. */
  look(): Promise<Inventory>
  /** These images are in use now: what was not used for the longest time goes first. On disk within a minute. */
  used(images: readonly Digest[]): void
  /**
   * Removes an image, unless it was used since `image` was read, or is pinned, mounted or needed by a pull by now: that is looked at in the
   * moment it goes. False if it stays, or was not here. Throws no-space, system.
   */
  removeIdle(image: StoredImage): Promise<boolean>
  /** Forgets pins whose time is over: they hold nothing any more. Throws no-space, system. */
  expirePins(): Promise<void>
  /** Resolves once what was removed until now is unlinked, and its room there to be used. */
  unlinked(): Promise<void>
}

/** What is known of layers whose trees were changed since they were committed. */
export interface Health {
  damaged(): readonly OwnLayer[]
  /**
   * Remembers what was found of a layer, for good; without damage, that it is sound, once it is on disk. Nothing is done where the layer has
   * been replaced since `layer` was asked for. Throws no-space, system.
   */
  mark(layer: StoredLayer, damage: Damage | undefined): Promise<void>
  /** Throws layer-in-use where the layer is mounted: what lies below a mount cannot be replaced (kernel's overlayfs.rst). */
  checkReplaceable(layer: StoredLayer): void
}

/** For a store in which a layer cannot be replaced under those that stand on it. */
export interface Evictions {
  /**
   * Takes a layer away, all that stand on it, and the images they are part of: for whoever pulls those again. Waits until no pull counts on
   * the layer; the signal counts until the first name goes. Throws layer-in-use where anything else stands on one of them, a container's
   * snapshot or a mount; whatever it throws, every image is here as it was, or told of by `unfinished`.
   */
  evict(id: LayerId, options: Abortable): Promise<Evicted>
  /** What was taken away earlier, by another process even, and has not come again; undefined where nothing is missing. */
  unfinished(): Promise<Evicted | undefined>
}

/** An image that was taken away, as far as it takes to pull it again. */
export type WithdrawnImage = Pick<StoredImage, 'id' | 'tags' | 'digests' | 'layerIds'> & { readonly platform: Platform }

/**
 * Images that were taken away. Disposing it gives those whose layers are here again the names and receipts they had; the others stay away,
 * and are remembered.
 */
export interface Evicted extends AsyncDisposable {
  readonly images: readonly WithdrawnImage[]
  /** Why it was not all: these images have gone, and the layer is still here. */
  readonly failure: Failure | undefined
}

export interface Store extends AsyncDisposable {
  readonly root: string
  /** The directory `StoredLayer.short` is relative to. */
  readonly overlayDir: string

  /** What this store calls the layers with these diffIDs, base first: each name stands for the layer and all those below it. */
  layerIds(diffIds: readonly DiffId[]): readonly LayerId[]
  /** An image by id (with or without `sha256:`, or an unambiguous prefix of it), tag or digest reference in normal form. */
  find(name: string): Promise<StoredImage | undefined>
  /** All images, oldest pull first. */
  images(): Promise<readonly StoredImage[]>
  /** A committed layer by its place in a chain. */
  layer(id: LayerId): Promise<StoredLayer | undefined>
  /** A committed layer with this diffID that a tar can be made of, whatever chain it stands in; never one known to be damaged. */
  layerByDiffId(diffId: DiffId): Promise<CopyableLayer | undefined>

  /** By default for a pull. */
  lease(use?: LeaseUse): Lease
  /** A new directory in the store's mount. Throws no-space, system. */
  stage(diffId: DiffId): Promise<StagedLayer>
  /**
   * Moves a staged layer to its place above `parent`, after giving the directories its tar left out the attributes they have below.
   * The layer is findable at once. If it is there already, the staged copy is dropped and the one in place returned; but one that is
   * known to be damaged is replaced, its children staying, and is on disk when this returns. Throws layer-in-use, no-space, system, internal.
   */
  commit(staged: StagedLayer, facts: UnpackedFacts, parent: StoredLayer | undefined): Promise<StoredLayer>
  /**
   * Makes the image visible: syncs what was written, records layers and image in one transaction, moves the tag here from wherever it was.
   * All of the image's layers must be committed and leased. Throws no-space, system, internal. After a throw nothing has changed.
   */
  publish(image: NewImage, options: Abortable): Promise<Published>
  /** Removes an image with all its names. False if there is none: removing twice is no error. Layers stay until `collect`. */
  remove(id: Digest): Promise<boolean>
  /** Removes one tag of an image; the image goes with its last name. */
  untag(tag: string): Promise<boolean>
  /**
   * Keeps an image, in place of what this owner wanted before. False if there is no such image. Throws invalid-argument where as many stand on it
   * as may, unsupported, no-space, system.
   */
  pin(id: Digest, pin: Pin): Promise<boolean>
  /** Takes back one owner's pin, or all; returns what was taken back. */
  unpin(id: Digest, owner?: string): Promise<readonly Pin[]>
  /**
   * Removes the layers that neither an image nor a lease holds and that are not mounted; returns what went. They are out of the way at
   * once, and unlinked in the background.
   */
  collect(): Promise<readonly CollectedLayer[]>
  /** Who pulled what is here. */
  readonly receipts: ReceiptBook
  /** Where blobs are to be kept. */
  readonly blobs?: BlobKeeper
  /** What holds what, where this store decides what stays; absent where a runtime does. */
  readonly holdings?: Holdings
  /** Absent where nothing is remembered of what a verification found. */
  readonly health?: Health
  /** In place of replacing a damaged layer. */
  readonly evictions?: Evictions
  /** Absent where images go by age and by disk pressure alone. */
  readonly expiries?: Expiries
  /** The process is about to end: whoever waits for a runtime that stands still is let go. Nothing can be changed any more soon after. */
  stopping?(): void
  /** Served from memory, refreshed in the background after every change. */
  usage(): Promise<Usage>
}
