/** The store of an image service beside containerd, once it is open (containerd.ts): each question to whom it is for. */
import { fail } from '../../failure/failure.ts'
import type { DiffId, Digest, LayerId } from '../../oci/digest.ts'
import type { Abortable } from '../../task/task.ts'
import type { Expiries } from '../expiry.ts'
import type { UnpackedFacts } from '../facts.ts'
import type { Pin } from '../pins.ts'
import type {
  BlobKeeper,
  CopyableLayer,
  Evictions,
  Lease,
  NewImage,
  OwnLayer,
  Published,
  StagedLayer,
  Store,
  StoredImage,
  StoredLayer,
  Usage,
} from '../store.ts'
import { Lander, type LandingParts } from './landing.ts'
import { chainIdOf, layerIdsOf } from './names.ts'
import type { RecordPins } from './pins.ts'
import type { ReceiptFiles } from './receipts.ts'
import type { StagedLayers } from './staged-layers.ts'
import type { Staging } from './staging.ts'

/** What the store is made of. */
type StoreParts = LandingParts & {
  readonly staging: Staging
  readonly staged: StagedLayers
  readonly evictions: Evictions
  readonly expiries: Expiries
  readonly pins: RecordPins
  readonly receipts: ReceiptFiles
  /** Called once if the store can no longer change anything. */
  readonly onLost: ((error: Error) => void) | undefined
}

/** How long the CRI plugin may take to tell what the disk holds. */
const USAGE_MS = 10_000

export class ContainerdStore implements Store {
  readonly root: string
  readonly overlayDir: string
  /** Where layers are unpacked, and where they wait for their place. */
  readonly stagingDir: string
  readonly landedDir: string
  readonly receipts: ReceiptFiles
  readonly blobs?: BlobKeeper
  readonly evictions: Evictions
  readonly expiries: Expiries
  readonly #parts: StoreParts
  readonly #lander: Lander
  readonly #open: AsyncDisposableStack

  /** `open` is what closes with the store. */
  constructor(root: string, parts: StoreParts, open: AsyncDisposableStack) {
    const { blobs, evictions, expiries, receipts, staging } = parts
    this.root = root
    this.receipts = receipts
    if (blobs !== undefined) this.blobs = blobs
    this.evictions = evictions
    this.expiries = expiries
    this.overlayDir = staging.snapshots
    this.stagingDir = staging.incoming
    this.landedDir = staging.landed
    this.#parts = parts
    this.#lander = new Lander(parts)
    this.#open = open
  }

  layerIds(diffIds: readonly DiffId[]): readonly LayerId[] {
    return layerIdsOf(diffIds)
  }

  find(name: string): Promise<StoredImage | undefined> {
    return this.#parts.catalog.find(name)
  }

  images(): Promise<readonly StoredImage[]> {
    return this.#parts.catalog.images()
  }

  async layer(id: LayerId): Promise<StoredLayer | undefined> {
    const staged = this.#parts.staged.find(id)
    if (staged !== undefined) return staged
    const found = await this.#parts.snapshots.find(id)
    return found === undefined ? undefined : await this.#withTarSplit(found)
  }

  /** Only what is staged: extractors may not read below containerd's snapshots, where the files of running containers are. */
  async layerByDiffId(diffId: DiffId): Promise<CopyableLayer | undefined> {
    return this.#parts.staged.byDiffId(diffId)
  }

  lease(): Lease {
    const { holds } = this.#parts
    const hold = holds.add()
    return {
      retain: async (layers) => {
        await holds.extend(hold, layers)
        const top = await this.#topmost(layers)
        if (top !== undefined) await (await hold.lease()).hold({ snapshot: chainIdOf(top) })
      },
      [Symbol.asyncDispose]: async () => {
        await hold[Symbol.asyncDispose]()
        this.#parts.staged.released(hold.ids)
      },
    }
  }

  stage(diffId: DiffId): Promise<StagedLayer> {
    return this.#parts.staged.stage(diffId, this.#parts.onLost)
  }

  async commit(staged: StagedLayer, facts: UnpackedFacts, parent: StoredLayer | undefined): Promise<StoredLayer> {
    const layer = await this.#parts.staged.commit(staged, facts, parent)
    return this.#parts.staged.find(layer.id) ?? (await this.#withTarSplit(layer))
  }

  async publish(image: NewImage, { signal }: Abortable): Promise<Published> {
    const began = new Date()
    const published = await this.#lander.land(image, signal)
    if (image.receipt !== undefined) this.receipts.published(published.image, began, image.receipt)
    return published
  }

  async remove(id: Digest): Promise<boolean> {
    const { catalog, names } = this.#parts
    const records = await catalog.recordsOf(id)
    for (const { name } of records) await names.remove(name)
    return records.length > 0
  }

  async untag(tag: string): Promise<boolean> {
    const image = await this.find(tag)
    if (image === undefined || !image.tags.includes(tag)) return false
    const { names } = this.#parts
    await names.remove(tag)
    const repository = tag.slice(0, tag.lastIndexOf(':'))
    const isOf = (name: string): boolean => name.slice(0, name.search(/(?::[^/:]*|@.*)$/)) === repository
    const tags = image.tags.filter((other) => other !== tag)
    // With the last tag of a repository goes the digest name that came along with it.
    const gone = tags.some(isOf) ? [] : image.digests.filter((name) => name.startsWith(`${repository}@`))
    for (const name of gone) await names.remove(name)
    if (tags.length + image.digests.length - gone.length === 0) await this.remove(image.id)
    return true
  }

  async pin(id: Digest, pin: Pin): Promise<boolean> {
    return await this.#parts.pins.pin(id, pin)
  }

  async unpin(id: Digest, owner?: string): Promise<readonly Pin[]> {
    return await this.#parts.pins.unpin(id, owner)
  }

  /**
   * Snapshots are containerd's to collect, and layers of a pull that failed wait for its next attempt. What was kept of those that are gone is
   * swept by and by: a landing under way keeps its turn for as long as it takes.
   */
  async collect(): Promise<readonly OwnLayer[]> {
    void this.#parts.tarSplits.sweep()
    return []
  }

  /** As containerd's CRI plugin has it: it keeps these figures, and takes some seconds to notice a change. */
  async usage(): Promise<Usage> {
    const { signal } = new AbortController()
    const deadline = new Date(Date.now() + USAGE_MS)
    const { imageFilesystems } = await this.#parts.cri.image.imageFsInfo({}, { signal, deadline })
    const [fs] = imageFilesystems
    if (fs === undefined) fail({ kind: 'internal', what: 'containerd names no image file system' })
    return {
      mountpoint: fs.fsId?.mountpoint ?? '',
      usedBytes: fs.usedBytes?.value ?? 0,
      inodesUsed: fs.inodesUsed?.value ?? 0,
      measuredAt: new Date(fs.timestamp / 1e6),
    }
  }

  stopping(): void {
    this.#parts.daemon.stopping()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync()
  }

  /** What containerd unpacked itself has no label of ours, and a tar-split of an earlier snapshot of that name says nothing of this one. */
  async #withTarSplit(layer: StoredLayer): Promise<StoredLayer> {
    if (layer.facts === undefined) return { ...layer, unverifiable: 'unpacked by containerd' }
    const tarSplit = await this.#parts.tarSplits.of(layer.id)
    return tarSplit === undefined ? { ...layer, unverifiable: 'its tar-split is not kept here' } : { ...layer, tarSplit }
  }

  async #topmost(layers: readonly LayerId[]): Promise<LayerId | undefined> {
    for (const id of layers.toReversed()) {
      if (this.#parts.staged.find(id) === undefined && (await this.#parts.snapshots.exists(id))) return id
    }
    return undefined
  }
}
