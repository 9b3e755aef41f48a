/** Which images go, and why the others stay: a decision over plain values. */
import type { LayerId } from '../oci/digest.ts'
import { isPinned, standing } from '../store/pins.ts'
import type { HeldLayer, Holders, Inventory, StoredImage } from '../store/store.ts'
import type { Disk } from './disk.ts'

/** When images go by themselves. Percentages are of bytes or inodes used, whichever is more; 100 never comes. Ages count from the last use. */
export type Watermarks = {
  readonly highPercent: number
  readonly lowPercent: number
  readonly minAgeMs: number
  /** Absent: no image goes for its age. */
  readonly maxAgeMs?: number
}

/** Everything the decision is made by. */
export type Scene = Inventory & { readonly disk: Disk; readonly now: Date }

export type Going = {
  readonly image: StoredImage
  readonly reason: 'age' | 'pressure' | 'asked'
  readonly bytes: number
  readonly inodes: number
}
export type Staying = {
  readonly image: StoredImage
  readonly reason: 'pinned' | 'in-use' | 'young' | 'not-needed'
  readonly detail: string
}

export type Choice = {
  /** In the order they go: what was not used for the longest time first. `bytes` are what each gives back after those before it. */
  readonly goes: readonly Going[]
  readonly stays: readonly Staying[]
  /** What goes with all that: the layers of these images, and those that no image needs and nothing holds. */
  readonly frees: { readonly layers: number; readonly bytes: number }
  /** What there is to be had: that, all other images that may go, and what is on its way out. */
  readonly reach: number
}

/** What has to be free. */
export type Need = { readonly bytes: number; readonly inodes: number; readonly reason: 'pressure' | 'asked' }

/** What is needed where a disk is beyond its high watermark: as much as brings it to the low one. */
export function needOf(disk: Disk, { highPercent, lowPercent }: Watermarks): Need {
  const isHigh = disk.usedPercent >= highPercent && highPercent < 100
  const free = (total: number): number => (isHigh ? Math.ceil((total * (100 - lowPercent)) / 100) : 0)
  return { bytes: free(disk.totalBytes), inodes: free(disk.totalInodes), reason: 'pressure' }
}

/** Pinned images, those in use and those younger than `minAgeMs` stay whatever is needed. */
export function choose(scene: Scene, { minAgeMs, maxAgeMs = Infinity }: Watermarks, need: Need): Choice {
  const { images, leaving, disk, now } = scene
  const shelf = new Shelf(scene)
  const stays: Staying[] = []
  const free: StoredImage[] = []
  for (const image of images) {
    const kept = keptFor(image, shelf, minAgeMs, now)
    if (kept === undefined) free.push(image)
    else stays.push({ image, ...kept })
  }
  const lastUse = lastUseBy(now, minAgeMs)
  free.sort((a, b) => lastUse(a) - lastUse(b))
  // Not by that: a node whose clock starts in the past would lose every image that is not in use before it is told the time.
  const isOld = ({ usedAt }: StoredImage): boolean => now.getTime() - usedAt.getTime() > maxAgeMs

  let missing = {
    bytes: need.bytes - disk.availableBytes - leaving.bytes - shelf.looseBytes,
    inodes: need.inodes - disk.availableInodes - leaving.inodes - shelf.looseInodes,
  }
  const goes: Going[] = []
  const waiting: StoredImage[] = []
  for (const image of free) {
    if (!isOld(image) && missing.bytes <= 0 && missing.inodes <= 0) {
      stays.push({ image, reason: 'not-needed', detail: 'there is room' })
      continue
    }
    const { bytes, inodes } = shelf.take(image)
    // What only shares its layers with images that stay gives nothing back; it may, with the next one.
    if (bytes === 0 && inodes === 0 && !isOld(image)) waiting.push(image)
    goes.push({ image, reason: isOld(image) ? 'age' : need.reason, bytes, inodes })
    missing = { bytes: missing.bytes - bytes, inodes: missing.inodes - inodes }
  }
  const useless = new Set(waiting.filter((image) => !shelf.helped(image)))
  for (const image of useless) stays.push({ image, reason: 'not-needed', detail: 'all its layers belong to images that stay' })
  const frees = { layers: shelf.loose + shelf.freed, bytes: shelf.looseBytes + sum(goes.map(({ bytes }) => bytes)) }
  const reach = leaving.bytes + frees.bytes + sum(remainder(free, goes, shelf))
  return { goes: goes.filter(({ image }) => !useless.has(image)), stays, frees, reach }
}

/** What the free images that are not chosen would give back. */
function remainder(free: readonly StoredImage[], goes: readonly Going[], shelf: Shelf): readonly number[] {
  const chosen = new Set(goes.map(({ image }) => image))
  return free.filter((image) => !chosen.has(image)).map((image) => shelf.take(image).bytes)
}

/**
 * What was used in a time to come was used before the clock was set back: nobody knows when, and it is as old as anything. A clock that was
 * put right by less than `minAgeMs` is another matter.
 */
function lastUseBy(now: Date, minAgeMs: number): (image: StoredImage) => number {
  const latest = now.getTime() + minAgeMs
  return ({ usedAt }) => (usedAt.getTime() < latest || usedAt <= now ? usedAt.getTime() : 0)
}

function keptFor(image: StoredImage, shelf: Shelf, minAgeMs: number, now: Date): Omit<Staying, 'image'> | undefined {
  if (isPinned(image, now)) {
    const owners = standing(image.pins, now).map(({ owner }) => owner)
    return { reason: 'pinned', detail: `by ${owners.join(', ')}` }
  }
  const use = shelf.useOf(image)
  if (use !== undefined) return { reason: 'in-use', detail: use }
  if (now.getTime() - lastUseBy(now, minAgeMs)(image) < minAgeMs) return { reason: 'young', detail: 'it was used a moment ago' }
  return undefined
}

/** The layers, and how many images still stand on each. */
class Shelf {
  /** Layers that no image needs and nothing holds. */
  readonly loose: number
  readonly looseBytes: number
  readonly looseInodes: number
  readonly #layers: ReadonlyMap<LayerId, HeldLayer>
  readonly #holders: Holders
  readonly #users = new Map<LayerId, number>()
  readonly #freed = new Set<LayerId>()

  constructor({ images, layers, holders }: Scene) {
    this.#layers = new Map(layers.map((layer) => [layer.id, layer]))
    this.#holders = holders
    for (const { layerIds } of images) for (const id of new Set(layerIds)) this.#users.set(id, (this.#users.get(id) ?? 0) + 1)
    const loose = layers.filter(({ id }) => !this.#users.has(id) && this.#heldBy(id) === undefined)
    this.loose = loose.length
    this.looseBytes = sum(loose.map(({ usedBytes }) => usedBytes))
    this.looseInodes = sum(loose.map(({ inodesUsed }) => inodesUsed))
  }

  /** How many layers the images that were taken had to themselves. */
  get freed(): number {
    return this.#freed.size
  }

  /** An image is in use where its topmost layer is: those below may be so for others. */
  useOf({ layerIds }: StoredImage): string | undefined {
    const top = layerIds.at(-1)
    return top === undefined ? undefined : this.#usedBy(top)
  }

  /** Takes an image off the shelf: what that gives back. */
  take({ layerIds }: StoredImage): { readonly bytes: number; readonly inodes: number } {
    let [bytes, inodes] = [0, 0]
    for (const id of new Set(layerIds)) {
      const left = (this.#users.get(id) ?? 1) - 1
      this.#users.set(id, left)
      const layer = this.#layers.get(id)
      if (left > 0 || layer === undefined || this.#heldBy(id) !== undefined) continue
      this.#freed.add(id)
      bytes += layer.usedBytes
      inodes += layer.inodesUsed
    }
    return { bytes, inodes }
  }

  /** Whether a layer of an image that was taken is free now, perhaps because of another one. */
  helped({ layerIds }: StoredImage): boolean {
    return layerIds.some((id) => this.#freed.has(id))
  }

  #heldBy(id: LayerId): string | undefined {
    return this.#holders.read.has(id) ? 'it is being read' : this.#usedBy(id)
  }

  #usedBy(id: LayerId): string | undefined {
    const { leased, mounted, adopted } = this.#holders
    if (leased.has(id)) return 'a pull needs it'
    const targets = mounted.get(id)
    if (targets !== undefined) return `mounted at ${targets.join(', ')}`
    if (adopted.kind === 'unknown') return `whether another store uses it cannot be told: ${adopted.why}`
    return adopted.layers.has(id) ? 'a container or an image of another store stands on it' : undefined
  }
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0)
