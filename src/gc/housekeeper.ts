/**
 * Keeps room on the disk: every minute, and before a pull that would not fit, images go by the watermarks, the one that was not used for
 * the longest time first. In a runtime's store nothing goes by itself: there kubelet collects.
 */
import { fail, failureOf } from '../failure/failure.ts'
import type { Holdings, Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import { choose, type Going, type Need, needOf, type Scene, type Staying, type Watermarks } from './choose.ts'
import { type Disk, measureDisk } from './disk.ts'
import type { Collector } from './gc.ts'

/** What went, or would go. */
export type Swept = {
  readonly disk: Disk
  readonly images: readonly Going[]
  readonly stays: readonly Staying[]
  /** With those of the images, and the bytes they take up on disk. */
  readonly layers: number
  readonly bytes: number
}

export type SweepRequest = {
  readonly dryRun: boolean
  /** As much as must be free afterwards, whatever the watermarks say. */
  readonly freeBytes?: number
}

export type HousekeeperParts = {
  readonly store: Pick<Store, 'overlayDir' | 'holdings'>
  readonly collector: Collector
  readonly watermarks: Watermarks
  readonly log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
  /** By default the file system the store is on. */
  readonly measure?: (path: string) => Promise<Disk>
}

const EVERY_MS = 60_000

export class Housekeeper {
  readonly #parts: HousekeeperParts
  readonly #measure: (path: string) => Promise<Disk>
  readonly #promised = new Set<{ likely: number; least: number }>()
  /** Two at once would both take what one of them needs. */
  #last: Promise<unknown> = Promise.resolve()
  #complaint: string | undefined

  constructor(parts: HousekeeperParts) {
    this.#parts = parts
    this.#measure = parts.measure ?? measureDisk
  }

  /** Looks after the disk until `signal` aborts. */
  start({ signal }: Abortable): void {
    if (signal.aborted || this.#parts.store.holdings === undefined) return
    const timer = setInterval(() => void this.#routine(), EVERY_MS).unref()
    signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  }

  /** Throws invalid-argument in a runtime's store, no-space, system. */
  sweep(request: SweepRequest): Promise<Swept> {
    const swept = this.#last.then(() => this.#sweep(request))
    this.#last = swept.catch(() => undefined)
    return swept
  }

  /**
   * Promises a pull its room: beside what others were promised and have not used yet. Where it is short, images go. Throws no-space
   * where there are not even `least` bytes to be had; then none has gone.
   */
  async reserve(
    { likely, least }: { readonly likely: number; readonly least: number },
    { signal }: Abortable,
  ): Promise<Disposable & { arrived(bytes: number): void }> {
    const promised = { likely: Math.ceil(likely), least: Math.ceil(least) }
    // From here on it counts for whoever comes next.
    const others = this.#sumPromised()
    this.#promised.add(promised)
    const reserved = {
      arrived: (bytes: number) => {
        promised.likely = Math.max(0, promised.likely - Math.ceil(bytes))
        promised.least = Math.min(promised.least, promised.likely)
      },
      [Symbol.dispose]: () => void this.#promised.delete(promised),
    }
    try {
      if (likely > 0) await this.#ensure(likely + others.likely, least + others.least, least)
      signal.throwIfAborted()
      return reserved
    } catch (error) {
      reserved[Symbol.dispose]()
      throw error
    }
  }

  async #ensure(wanted: number, least: number, needs: number): Promise<void> {
    const { store } = this.#parts
    const path = store.overlayDir
    const before = await this.#measure(path)
    if (before.availableBytes >= wanted) return
    const refuse = (reach: number): never =>
      fail({ kind: 'no-space', path, code: 'ENOSPC', needs: Math.ceil(needs), missing: Math.ceil(least - reach) })
    if (store.holdings === undefined) return before.availableBytes >= least ? undefined : refuse(before.availableBytes)
    const scene = await this.#scene(store.holdings)
    const { reach } = choose(scene, this.#parts.watermarks, { bytes: wanted, inodes: 0, reason: 'pressure' })
    if (before.availableBytes + reach < least) refuse(before.availableBytes + reach)
    await this.sweep({ dryRun: false, freeBytes: wanted })
  }

  async #routine(): Promise<void> {
    try {
      await this.#noteUse()
      const { images, layers, bytes, disk } = await this.sweep({ dryRun: false })
      if (layers > 0) this.#parts.log.info({ images: images.length, layers, bytes }, 'collected')
      const { highPercent } = this.#parts.watermarks
      if (disk.usedPercent >= highPercent && images.length === 0)
        this.#complain(`the disk is ${disk.usedPercent.toFixed()} % full, and no image may go`)
      else this.#complaint = undefined
    } catch (error) {
      this.#complain(`the disk could not be looked after: ${failureOf(error).kind}`, error)
    }
  }

  /** Once for each reason, not once a minute. */
  #complain(text: string, error?: unknown): void {
    const { kind } = error === undefined ? { kind: 'full' } : failureOf(error)
    if (kind === this.#complaint) return
    this.#complaint = kind
    this.#parts.log.warn(error === undefined ? {} : { err: error }, text)
  }

  /** What is in use now is what was used last, whoever uses it. */
  async #noteUse(): Promise<void> {
    const { holdings } = this.#parts.store
    if (holdings === undefined) return
    const { images, holders } = await holdings.look()
    const { leased, mounted, adopted } = holders
    const isUsed = ({ layerIds }: StoredImage): boolean => {
      const top = layerIds.at(-1)
      return top !== undefined && (leased.has(top) || mounted.has(top) || (adopted.kind === 'known' && adopted.layers.has(top)))
    }
    holdings.used(images.filter(isUsed).map(({ id }) => id))
  }

  async #sweep({ dryRun, freeBytes }: SweepRequest): Promise<Swept> {
    const { store, collector, watermarks, log } = this.#parts
    const holdings = this.#holdings()
    const scene = await this.#scene(holdings)
    const need: Need = freeBytes === undefined ? needOf(scene.disk, watermarks) : { bytes: freeBytes, inodes: 0, reason: 'asked' }
    const { goes, stays, loose } = choose(scene, watermarks, need)
    if (dryRun) return { disk: scene.disk, images: goes, stays, ...tally(scene, goes, loose) }
    const gone: Going[] = []
    for (const going of goes) {
      const { image, reason } = going
      // A pull may have asked for it meanwhile, or somebody pinned it.
      if (!(await holdings.removeIdle(image))) continue
      gone.push(going)
      const { id, tags, digests, usedAt } = image
      log.info({ image: id, names: [...tags, ...digests], usedAt, reason }, 'removed to make room')
    }
    const { layers } = await collector.collect()
    await holdings.unlinked()
    return { disk: await this.#measure(store.overlayDir), images: gone, stays, layers, bytes: tally(scene, gone, loose).bytes }
  }

  #holdings(): Holdings {
    const reason = 'images in a runtime are its own to collect, as kubelet asks for it; crictl rmi removes one'
    return this.#parts.store.holdings ?? fail({ kind: 'invalid-argument', what: 'gc', reason })
  }

  async #scene(holdings: Holdings): Promise<Scene> {
    const disk = await this.#measure(this.#parts.store.overlayDir)
    return { ...(await holdings.look()), disk, now: new Date() }
  }

  /** What is likely of one pull must not refuse another: only what both will hardly fall below does. */
  #sumPromised(): { readonly likely: number; readonly least: number } {
    const all = [...this.#promised]
    const sum = (which: 'likely' | 'least'): number => all.reduce((bytes, each) => bytes + each[which], 0)
    return { likely: sum('likely'), least: sum('least') }
  }
}

/** Layers and bytes that go with images, and those nothing needs. */
function tally(
  { images }: Scene,
  goes: readonly Going[],
  loose: Scene['layers'],
): { readonly layers: number; readonly bytes: number } {
  const gone = new Set(goes.map(({ image }) => image.id))
  const needed = new Set(images.filter(({ id }) => !gone.has(id)).flatMap(({ layerIds }) => layerIds))
  const freed = new Set(goes.flatMap(({ image }) => image.layerIds).filter((id) => !needed.has(id)))
  const bytes = [...goes.map((each) => each.bytes), ...loose.map(({ usedBytes }) => usedBytes)].reduce(
    (all, each) => all + each,
    0,
  )
  return { layers: freed.size + loose.length, bytes }
}
