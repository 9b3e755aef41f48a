/**
 * Keeps room on the disk: every minute, and while a pull comes that would not fit, images go by the watermarks, the one that was not used for
 * the longest time first. In a runtime's store nothing goes by itself: there kubelet collects.
 */
import { fail, failureOf } from '../failure/failure.ts'
import type { LayerId } from '../oci/digest.ts'
import type { Holdings, Store, StoredImage } from '../store/store.ts'
import { unlessAborted } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import { sparedBytes } from '../unpack/unpack.ts'
import { choose, type Going, type Need, needOf, type Scene, type Staying, type Watermarks } from './choose.ts'
import { type Disk, measureDisk } from './disk.ts'
import type { Collector } from './gc.ts'
import { type Expects, type Promised, Promises, wantedFor } from './promises.ts'
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
  readonly partials?: { idleBytes(on: string): Promise<number>; giveWay(bytes: number, on: string): Promise<void> } | undefined
  /** Told of every image that had to go, and why; must not throw. */
  readonly onRemoved?: (reason: Going['reason']) => void
  /** By default the file system the store is on. */
  readonly measure?: (path: string) => Promise<Disk>
}

const EVERY_MS = 60_000
/** Compressed bytes are let in up to this share of what is free: few unpack to more than so many times as much. */
const SAFE_SHARE = 8
/** On a disk that is full, after so many. */
const ASK_AGAIN = 256 * 1024
const NOTHING: Need = { bytes: 0, inodes: 0, reason: 'asked' }

export class Housekeeper {
  readonly #parts: HousekeeperParts
  readonly #measure: (path: string) => Promise<Disk>
  readonly #promises = new Promises()
  /** Two at once would both take what one of them needs. */
  #last: Promise<unknown> = Promise.resolve()
  #complaint: string | undefined
  /** Compressed bytes that may come until the disk is looked at again. */
  #unasked = 0
  #making: Promise<void> | undefined

  constructor(parts: HousekeeperParts) {
    this.#parts = parts
    this.#measure = parts.measure ?? measureDisk
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

  /**
   * Counts what a pull still `expects`, beside what others do, until it is disposed. Throws no-space where there is not even the least of it
   * to be had; then no image has gone.
   */
  async reserve(expects: Expects, { signal }: Abortable): Promise<Disposable> {
    signal.throwIfAborted()
    using undo = new DisposableStack()
    // From here on it counts for whoever comes next.
    const promised = undo.use(this.#promises.add(expects))
    if (wantedFor(expects()).likely > 0) await unlessAborted(this.#admit(promised), signal)
    return undo.move()
  }

  /** So many bytes of layers have come. A promise: room is being made for more, go on once it resolves. */
  arrived(bytes: number): Promise<void> | undefined {
    if (this.#parts.store.holdings === undefined) return undefined
    this.#unasked -= bytes
    if (this.#unasked > 0) return undefined
    this.#making ??= this.#tryToMakeRoom().finally(() => {
      this.#making = undefined
    })
    return this.#making
  }

  /** Makes room for a copy, if a pull says that it is due. Rejects with the signal's reason. */
  async due(layer: LayerId, { signal }: Abortable): Promise<void> {
    if (this.#parts.store.holdings === undefined || !this.#promises.isDue(layer)) return
    await unlessAborted(this.#tryToMakeRoom(), signal)
  }

  async #tryToMakeRoom(): Promise<void> {
    try {
      await this.#makeRoom()
    } catch (error) {
      // Whether there is enough is for the disk to say; it is asked again soon.
      this.#complain('room for a pull could not be made', error)
      this.#unasked = ASK_AGAIN
    }
  }

  async #admit(promised: Promised): Promise<void> {
    // At once: those who come later count this one, not the other way round too, or both were refused.
    const { likely, least } = this.#promises.wanted()
    if (usable(await this.#disk()) >= likely) return
    const { store, partials } = this.#parts
    const { holdings, overlayDir } = store
    const disk = await this.#settled()
    if (usable(disk) >= likely) return
    const idle = (await partials?.idleBytes(overlayDir)) ?? 0
    promised.atMost = usable(disk) + idle + (holdings === undefined ? 0 : await this.#reach(holdings))
    if (promised.atMost < least) {
      const needs = wantedFor(promised.expects()).least
      fail({ kind: 'no-space', path: disk.path, code: 'ENOSPC', needs, missing: Math.ceil(least - promised.atMost) })
    }
    if (holdings !== undefined) await this.#makeRoom()
    else await partials?.giveWay(likely - usable(disk), overlayDir)
  }

  /** What removing everything that may go would give back. */
  async #reach(holdings: Holdings): Promise<number> {
    return choose(await this.#scene(holdings), this.#parts.watermarks, NOTHING).reach
  }

  /** For what comes next, as far as it can be had. */
  async #makeRoom(): Promise<void> {
    const next = (): number => this.#promises.wanted().next
    const { partials, store } = this.#parts
    let free = usable(await this.#disk())
    if (free < next()) free = usable(await this.#settled())
    if (free < next() && partials !== undefined) {
      await partials.giveWay(next() - free, store.overlayDir)
      free = usable(await this.#disk())
    }
    while (free < next()) {
      const needOn = ({ totalBytes }: Disk): Need => ({ bytes: next() + sparedBytes(totalBytes), inodes: 0, reason: 'pressure' })
      const { layers, disk } = await this.#inTurn(needOn, false)
      // What was on its way out already may have been less than it seemed.
      const isMore = layers > 0 || usable(disk) > free
      free = usable(disk)
      if (!isMore) break
    }
    this.#unasked = Math.max(ASK_AGAIN, free / SAFE_SHARE)
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

/** What layers may take up of it. */
const usable = ({ availableBytes, totalBytes }: Disk): number => availableBytes - sparedBytes(totalBytes)

/** All that may go for what is not reached all the same would be images lost for nothing. */
function checkReach(wanted: number, { availableBytes, path }: Disk, reach: number): void {
  const missing = wanted - availableBytes - reach
  if (missing <= 0) return
  const [all, free, may] = [wanted, availableBytes, reach].map((bytes) => `${Math.floor(bytes / 1e6)} MB`)
  const reason = `of ${all} wanted below ${path} ${free} are free and ${may} may go; nothing was removed (windlass gc --dry-run says what stays and why)`
  fail({ kind: 'invalid-argument', what: 'size to free', reason })
}
