/**
 * Keeps room on the disk: every minute, and while a pull comes that would not fit, images go by the watermarks, the one that was not used for
 * the longest time first. In a runtime's store nothing goes by itself: there kubelet collects.
 */
import { fail, failureOf } from '../failure/failure.ts'
import type { Holdings, Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import { Admission, type House, type Leftovers } from './admission.ts'
import { choose, type Going, type Need, needOf, type Scene, type Staying, type Watermarks } from './choose.ts'
import { type Disk, measureDisk } from './disk.ts'
import type { Collector } from './gc.ts'
import { type HeldThing, heldAlone } from './why.ts'

/** What went, or would go. */
export type Swept = {
  readonly disk: Disk
  readonly images: readonly Going[]
  readonly stays: readonly Staying[]
  /** What stays without an image. */
  readonly keptLayers: readonly HeldThing[]
  /** With those of the images, and the bytes they take up on disk: what went, or would. */
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
  /** What came of layers whose transfer has not ended: it goes before any image does. */
  readonly partials?: Leftovers | undefined
  /** Told of every image that had to go, and why; must not throw. */
  readonly onRemoved?: (reason: Going['reason']) => void
  /** By default the file system the store is on. */
  readonly measure?: (path: string) => Promise<Disk>
}

const EVERY_MS = 60_000
const NOTHING: Need = { bytes: 0, inodes: 0, reason: 'asked' }

export class Housekeeper {
  /** What pulls ask for room. */
  readonly room: Admission
  readonly #parts: HousekeeperParts
  readonly #measure: (path: string) => Promise<Disk>
  /** Two at once would both take what one of them needs. */
  #last: Promise<unknown> = Promise.resolve()
  #complaint: string | undefined

  constructor(parts: HousekeeperParts) {
    this.#parts = parts
    this.#measure = parts.measure ?? measureDisk
    const { overlayDir, holdings } = parts.store
    const house: House = {
      mayRemove: holdings !== undefined,
      overlayDir,
      disk: () => this.#disk(),
      settled: () => this.#settled(),
      reach: async () => choose(await this.#scene(this.#holdings()), parts.watermarks, NOTHING).reach,
      sweep: (needOn) => this.#inTurn(needOn, false),
      complain: (text, error) => this.#complain(text, error),
    }
    this.room = new Admission(house, parts.partials)
  }

  /** Looks after the disk until `signal` aborts. */
  start({ signal }: Abortable): void {
    if (signal.aborted || this.#parts.store.holdings === undefined) return
    let isBusy = false
    const look = async (): Promise<void> => {
      // One that takes longer is not followed by all that it has outlasted.
      if (isBusy) return
      isBusy = true
      await this.#routine()
      isBusy = false
    }
    const timer = setInterval(() => void look(), EVERY_MS).unref()
    signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  }

  /** Throws invalid-argument in a runtime's store, or where so much cannot be free: then nothing has gone; no-space, system. */
  async sweep({ dryRun, freeBytes }: SweepRequest): Promise<Swept> {
    const { watermarks } = this.#parts
    if (freeBytes === undefined) return await this.#inTurn((disk) => needOf(disk, watermarks), dryRun)
    return await this.#inTurn(() => ({ bytes: freeBytes, inodes: 0, reason: 'asked' }), dryRun)
  }

  /** What is needed is asked when its turn has come: whoever wanted it may have left. */
  async #inTurn(needOn: (disk: Disk) => Need, dryRun: boolean): Promise<Swept> {
    const sweeping = this.#last.then(() => this.#sweep(needOn, dryRun))
    this.#last = sweeping.catch(() => undefined)
    const swept = await sweeping
    if (dryRun) return swept
    // Nobody else need wait for it: what is on its way out counts as gone.
    return { ...swept, disk: await this.#settled() }
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

  async #sweep(needOn: (disk: Disk) => Need, dryRun: boolean): Promise<Swept> {
    const { collector, watermarks, log, onRemoved } = this.#parts
    const holdings = this.#holdings()
    const scene = await this.#scene(holdings)
    const need = needOn(scene.disk)
    const { goes, stays, frees, reach } = choose(scene, watermarks, need)
    if (need.reason === 'asked') checkReach(need.bytes, scene.disk, reach)
    const keptLayers = heldAlone(scene)
    if (dryRun) return { disk: scene.disk, images: goes, stays, keptLayers, ...frees }
    const gone: Going[] = []
    for (const going of goes) {
      const { image, reason } = going
      // A pull may have asked for it meanwhile, or somebody pinned it.
      if (!(await holdings.removeIdle(image))) continue
      gone.push(going)
      onRemoved?.(reason)
      const { id, tags, digests, usedAt } = image
      log.info({ image: id, names: [...tags, ...digests], usedAt, reason }, 'removed to make room')
    }
    const collected = await collector.collect()
    // Afterwards: on a full disk it may need the room.
    await holdings.expirePins().catch((error: unknown) => this.#complain('pins whose time is over are still on record', error))
    return { disk: scene.disk, images: gone, stays, keptLayers, ...collected }
  }

  /** Once what is on its way out has gone, what failed pulls have left too: it is nobody's, so no image goes for it and no pull is refused. */
  async #settled(): Promise<Disk> {
    await this.#parts.store.holdings?.unlinked()
    return await this.#disk()
  }

  #disk(): Promise<Disk> {
    return this.#measure(this.#parts.store.overlayDir)
  }

  #holdings(): Holdings {
    const reason = 'images in a runtime are its own to collect, as kubelet asks for it; crictl rmi removes one'
    return this.#parts.store.holdings ?? fail({ kind: 'invalid-argument', what: 'gc', reason })
  }

  async #scene(holdings: Holdings): Promise<Scene> {
    const disk = await this.#disk()
    return { ...(await holdings.look()), disk, now: new Date() }
  }
}

/** All that may go for what is not reached all the same would be images lost for nothing. */
function checkReach(wanted: number, { availableBytes, path }: Disk, reach: number): void {
  const missing = wanted - availableBytes - reach
  if (missing <= 0) return
  const [all, free, may] = [wanted, availableBytes, reach].map((bytes) => `${Math.floor(bytes / 1e6)} MB`)
  const reason = `of ${all} wanted below ${path} ${free} are free and ${may} may go; nothing was removed (windlass gc --dry-run says what stays and why)`
  fail({ kind: 'invalid-argument', what: 'size to free', reason })
}
