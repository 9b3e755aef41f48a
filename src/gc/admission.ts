/**
 * Room for pulls: counted from the moment one is planned, and made while its bytes come. Whoever cannot fit is refused before the first
 * byte; what failed pulls have left goes first, then what came of layers whose transfer has not ended, then the images that may go.
 */
import { fail } from '../failure/failure.ts'
import type { LayerId } from '../oci/digest.ts'
import { unlessAborted } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import { sparedBytes, sparedInodes } from '../unpack/unpack.ts'
import type { Need } from './choose.ts'
import { type Disk, usableBytes, usableInodes } from './disk.ts'
import { type Expects, type Promised, Promises, wantedFor } from './promises.ts'

/** The disk, and what may go from it. */
export type House = {
  /** False in a runtime's store, where nothing goes for a pull but what is of ours. */
  readonly mayRemove: boolean
  readonly overlayDir: string
  disk(): Promise<Disk>
  /** Once what is on its way out has gone. */
  settled(): Promise<Disk>
  /** What removing everything that may go would give back, in bytes. */
  reach(): Promise<number>
  sweep(needOn: (disk: Disk) => Need): Promise<{ readonly disk: Disk; readonly layers: number }>
  complain(text: string, error: unknown): void
}

/** What came of layers whose transfer has not ended. */
export type Leftovers = { idleBytes(on: string): Promise<number>; giveWay(bytes: number, on: string): Promise<void> }

/** Compressed bytes are let in up to this share of what is free: few unpack to more than so many times as much. */
const SAFE_SHARE = 8
/** On a disk that is nearly full, after so many; where nothing more could be had, after more: a look costs something. */
const ASK_AGAIN = 256 * 1024
const ASK_IN_VAIN = 4 * 1024 * 1024
/** Files hardly come in fewer bytes. */
const SMALL_FILE = 256

export class Admission {
  readonly #house: House
  readonly #leftovers: Leftovers | undefined
  readonly #promises = new Promises()
  /** Compressed bytes that may come until the disk is looked at again. */
  #unasked = 0
  #making: Promise<void> | undefined

  constructor(house: House, leftovers: Leftovers | undefined) {
    this.#house = house
    this.#leftovers = leftovers
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
    if (!this.#house.mayRemove) return undefined
    this.#unasked -= bytes
    if (this.#unasked > 0) return undefined
    this.#making ??= this.#tryToMakeRoom().finally(() => {
      this.#making = undefined
    })
    return this.#making
  }

  /** Makes room for a copy, if a pull says that it is due. Rejects with the signal's reason. */
  async due(layer: LayerId, { signal }: Abortable): Promise<void> {
    if (!this.#house.mayRemove || !this.#promises.isDue(layer)) return
    await unlessAborted(this.#tryToMakeRoom(), signal)
  }

  async #tryToMakeRoom(): Promise<void> {
    try {
      await this.#makeRoom()
    } catch (error) {
      // Whether there is enough is for the disk to say; it is asked again soon.
      this.#house.complain('room for a pull could not be made', error)
      this.#unasked = ASK_AGAIN
    }
  }

  async #admit(promised: Promised): Promise<void> {
    // At once: those who come later count this one, not the other way round too, or both were refused.
    const { likely, least } = this.#promises.wanted()
    const fits = (disk: Disk): boolean => usableBytes(disk) >= likely && usableInodes(disk) >= inodesToGoOn(disk)
    if (fits(await this.#house.disk())) return
    const disk = await this.#house.settled()
    if (fits(disk)) return
    const { overlayDir, mayRemove } = this.#house
    const idle = (await this.#leftovers?.idleBytes(overlayDir)) ?? 0
    promised.atMost = usableBytes(disk) + idle + (mayRemove ? await this.#house.reach() : 0)
    if (promised.atMost < least) {
      const needs = wantedFor(promised.expects()).least
      fail({ kind: 'no-space', path: disk.path, code: 'ENOSPC', needs, missing: Math.ceil(least - promised.atMost) })
    }
    if (mayRemove) await this.#makeRoom()
    else await this.#leftovers?.giveWay(likely - usableBytes(disk), overlayDir)
  }

  /** For what comes next, as far as it can be had. */
  async #makeRoom(): Promise<void> {
    const next = (): number => this.#promises.wanted().next
    const isShort = (disk: Disk): boolean => usableBytes(disk) < next() || usableInodes(disk) < inodesToGoOn(disk)
    let disk = await this.#house.disk()
    if (isShort(disk)) disk = await this.#house.settled()
    if (usableBytes(disk) < next() && this.#leftovers !== undefined) {
      await this.#leftovers.giveWay(next() - usableBytes(disk), this.#house.overlayDir)
      disk = await this.#house.disk()
    }
    const needOn = (on: Disk): Need => ({
      bytes: next() + sparedBytes(on.totalBytes),
      inodes: inodesToGoOn(on) + sparedInodes(on.totalInodes),
      reason: 'pressure',
    })
    while (isShort(disk)) {
      const before = disk
      const swept = await this.#house.sweep(needOn)
      disk = swept.disk
      // What was on its way out already may have been less than it seemed.
      const isMore = usableBytes(disk) > usableBytes(before) || usableInodes(disk) > usableInodes(before)
      if (swept.layers === 0 && !isMore) break
    }
    const enough = Math.min(usableBytes(disk) / SAFE_SHARE, usableInodes(disk) * SMALL_FILE)
    this.#unasked = isShort(disk) ? ASK_IN_VAIN : Math.max(ASK_AGAIN, enough)
  }
}

/** How many files a layer brings nobody says before they come: what is free now is for the next of them. */
const inodesToGoOn = ({ totalInodes }: Disk): number => Math.min(4096, totalInodes / 50)
