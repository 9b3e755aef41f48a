/** What is in the store, in memory: every question is answered from here, and only what the keeper has reported changes it. */
import { type DiffId, type Digest, isDigest, type LayerId, layerIds } from '../../oci/digest.ts'
import type { Damage } from '../facts.ts'
import { type Pin, type PinRule, pinsByRules, standing } from '../pins.ts'
import type { CopyableLayer, StoredImage, Usage } from '../store.ts'
import { KnownLayer } from './known-layer.ts'
import type { Layout } from './layout.ts'
import type { NamesChanged } from './ledger.ts'
import type { ImageNames, ImageRecord, LayerBrief, LayerRecord } from './records.ts'

export class View {
  readonly #at: Layout
  readonly #images = new Map<Digest, StoredImage>()
  /** Tag and digest names, and the images they name; where several bear a digest name, the one published last comes last. */
  readonly #named = new Map<string, readonly Digest[]>()
  readonly #layers = new Map<LayerId, KnownLayer>()
  readonly #byDiffId = new Map<DiffId, Set<LayerId>>()
  readonly #rules: readonly PinRule[]
  /** As they are on record. */
  readonly #pins = new Map<Digest, readonly Pin[]>()
  /** What the layers take up. */
  #usedBytes = 0
  #inodesUsed = 0

  constructor(at: Layout, rules: readonly PinRule[] = []) {
    this.#at = at
    this.#rules = rules
  }

  find(name: string): StoredImage | undefined {
    const named = this.#named.get(name)?.at(-1) ?? (isDigest(name) ? name : undefined)
    return named === undefined ? this.#byPrefix(name) : this.#images.get(named)
  }

  images(): readonly StoredImage[] {
    return [...this.#images.values()]
  }

  layer(id: LayerId): KnownLayer | undefined {
    return this.#layers.get(id)
  }

  layerByDiffId(diffId: DiffId): CopyableLayer | undefined {
    for (const id of this.#byDiffId.get(diffId) ?? []) {
      const known = this.#layers.get(id)
      if (known !== undefined && known.record.damage === undefined) return known.layer
    }
    return undefined
  }

  layers(): Iterable<KnownLayer> {
    return this.#layers.values()
  }

  /** The figures are kept exact with every change, so they are as old as the question: kubelet ignores one whose time stands still. */
  usage(): Usage {
    return { mountpoint: this.#at.root, usedBytes: this.#usedBytes, inodesUsed: this.#inodesUsed, measuredAt: new Date() }
  }

  /** `unrecorded` where no row names it yet. */
  addLayer(record: LayerBrief, unrecorded?: LayerRecord): KnownLayer {
    const { id, diffId } = record
    this.#byDiffId.set(diffId, (this.#byDiffId.get(diffId) ?? new Set()).add(id))
    this.#measured(record.usedBytes, record.inodesUsed)
    return this.#set(record, unrecorded)
  }

  /** A layer that is here has a new tree, which is sound. */
  replaceTree(id: LayerId, tree: Pick<LayerRecord, 'usedBytes' | 'inodesUsed' | 'owners'>): CopyableLayer | undefined {
    const known = this.#layers.get(id)
    if (known === undefined) return undefined
    const { damage: _, ...before } = known.record
    const { usedBytes, inodesUsed } = tree
    this.#measured(usedBytes - before.usedBytes, inodesUsed - before.inodesUsed)
    return this.#set({ ...before, usedBytes, inodesUsed }, known.unrecorded && { ...known.unrecorded, ...tree }).layer
  }

  /** A layer that is here is known to be damaged, or no longer. */
  markLayer(id: LayerId, damage: Damage | undefined): void {
    const known = this.#layers.get(id)
    if (known === undefined) return
    this.#set(marked(known.record, damage), known.unrecorded && marked(known.unrecorded, damage))
  }

  /** A row names the layer from now on. */
  recorded(id: LayerId): void {
    const known = this.#layers.get(id)
    if (known !== undefined) known.unrecorded = undefined
  }

  dropLayer(id: LayerId): void {
    const known = this.#layers.get(id)
    if (known === undefined) return
    const { diffId, usedBytes, inodesUsed } = known.record
    this.#layers.delete(id)
    const twins = this.#byDiffId.get(diffId)
    twins?.delete(id)
    if (twins?.size === 0) this.#byDiffId.delete(diffId)
    this.#measured(-usedBytes, -inodesUsed)
  }

  addImage(image: ImageRecord, names: ImageNames, pins: readonly Pin[]): void {
    this.#pins.set(image.id, pins)
    this.#images.set(image.id, this.#pinned(whole(image, names)))
    for (const name of namesIn(names)) this.#name(name, image.id)
  }

  /** Takes in a published image, as the keeper recorded it, under the digest name it was published by. */
  publish(image: ImageRecord, digest: string, changed: NamesChanged): StoredImage {
    const before = this.#images.get(image.id)
    const stored = whole(image, { image: image.id, tags: before?.tags ?? [], digests: before?.digests ?? [] })
    this.#images.set(image.id, this.#pinned(stored))
    this.change(changed)
    this.#name(digest, image.id)
    return this.#images.get(image.id) ?? this.#pinned(stored)
  }

  change({ names, gone }: NamesChanged): void {
    for (const id of gone) this.#dropImage(id)
    for (const now of names) {
      const image = this.#images.get(now.image)
      if (image === undefined) continue
      const kept = new Set(namesIn(now))
      for (const name of namesIn(image)) if (!kept.has(name)) this.#unname(name, image.id)
      for (const name of kept) if (!this.#named.get(name)?.includes(image.id)) this.#name(name, image.id)
      this.#images.set(image.id, this.#pinned({ ...image, tags: now.tags, digests: now.digests }))
    }
  }

  pins(id: Digest): readonly Pin[] {
    return this.#pins.get(id) ?? []
  }

  setPins(id: Digest, pins: readonly Pin[]): void {
    const image = this.#images.get(id)
    if (image === undefined) return
    this.#pins.set(id, pins)
    this.#images.set(id, this.#pinned(image))
  }

  /** Images with pins whose time is over. */
  expired(now: Date): readonly Digest[] {
    return [...this.#pins].flatMap(([id, pins]) => (standing(pins, now).length < pins.length ? [id] : []))
  }

  used(id: Digest, usedAt: Date): boolean {
    const image = this.#images.get(id)
    if (image !== undefined) this.#images.set(id, this.#pinned({ ...image, usedAt }))
    return image !== undefined
  }

  #set(record: LayerBrief, unrecorded: LayerRecord | undefined): KnownLayer {
    const known = new KnownLayer(this.#at, record, unrecorded)
    this.#layers.set(record.id, known)
    return known
  }

  #dropImage(id: Digest): void {
    const image = this.#images.get(id)
    if (image === undefined) return
    for (const name of namesIn(image)) this.#unname(name, id)
    this.#images.delete(id)
    this.#pins.delete(id)
  }

  #pinned(image: Omit<StoredImage, 'pins'>): StoredImage {
    return { ...image, pins: [...this.pins(image.id), ...pinsByRules(this.#rules, image)] }
  }

  #name(name: string, id: Digest): void {
    this.#named.set(name, [...this.#others(name, id), id])
  }

  #unname(name: string, id: Digest): void {
    const others = this.#others(name, id)
    if (others.length === 0) this.#named.delete(name)
    else this.#named.set(name, others)
  }

  #others(name: string, id: Digest): readonly Digest[] {
    return this.#named.get(name)?.filter((other) => other !== id) ?? []
  }

  /** crictl and people shorten ids; three digits are the least that can be meant as one. */
  #byPrefix(name: string): StoredImage | undefined {
    const prefix = /^(?:sha256:)?([0-9a-f]{3,64})$/.exec(name)?.[1]
    if (prefix === undefined) return undefined
    const matching = [...this.#images.values()].filter(({ id }) => id.startsWith(`sha256:${prefix}`))
    return matching.length === 1 ? matching[0] : undefined
  }

  #measured(bytes: number, inodes: number): void {
    this.#usedBytes += bytes
    this.#inodesUsed += inodes
  }
}

const namesIn = ({ tags, digests }: Pick<StoredImage, 'tags' | 'digests'>): readonly string[] => [...tags, ...digests]

function whole(image: ImageRecord, { tags, digests }: ImageNames): Omit<StoredImage, 'pins'> {
  const documents = image.configBytes.length + image.manifestBytes.length
  const size = image.layers.reduce((sum, layer) => sum + layer.size, documents)
  return { ...image, tags, digests, layerIds: layerIds(image.config.diffIds), size }
}

function marked<R extends LayerBrief>(
  { damage: _, ...record }: R,
  damage: Damage | undefined,
): Omit<R, 'damage'> & Pick<LayerBrief, 'damage'> {
  return damage === undefined ? record : { ...record, damage }
}
