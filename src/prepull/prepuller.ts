/** Brings what is declared, keeps it, and lets go of what is declared no more. */
import { isDeepStrictEqual } from 'node:util'
import { describe, failureOf } from '../failure/failure.ts'
import { isAwaited } from '../pull/pull.ts'
import type { DeclaredQueue, ImageState } from '../pull/queue.ts'
import { unlessAborted } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import { begin, type Entry, hasCome, hasFailed, keyOf, mustAsk, waiting } from './entry.ts'
import { keep, release } from './keeping.ts'
import type { Declared } from './lists.ts'
import type { Means, Place } from './prepull.ts'

export type PrepullerParts = {
  /** Undefined while nothing can be pulled: `wake` is called when that may have changed. */
  readonly place: () => Place | undefined
  readonly means: Means
  /** Of bytes or inodes, whichever is scarcer. */
  readonly freePercent: (dir: string) => Promise<number>
  readonly maxParallel: number
  readonly startJitterMs: number
  readonly minFreePercent: number
  readonly log: Record<'info' | 'warn', (fields: object, text: string) => void>
  /** From 0 to 1, by default at random. */
  readonly random?: () => number
}

const DEADLINE_MS = 3_600_000
const ROOM_MS = 30_000

export class Prepuller {
  readonly #parts: PrepullerParts
  readonly #random: () => number
  readonly #running = new Set<Promise<void>>()
  #entries = new Map<string, Entry>()
  #declared: Declared = { lists: [], isWhole: false }
  #mustRelease = false
  #changed = Promise.withResolvers<void>()
  #isFirst = true
  readonly #watchers = new Set<() => void>()
  #watched: Place['puller'] | undefined
  #held: string | undefined

  constructor(parts: PrepullerParts) {
    this.#parts = parts
    this.#random = parts.random ?? Math.random
  }

  /** From now on these are declared. */
  declare(declared: Declared): void {
    const first = this.#isFirst ? this.#random() * this.#parts.startJitterMs : 0
    this.#isFirst = false
    const before = this.#entries
    this.#entries = new Map()
    for (const list of declared.lists)
      for (const image of list.images) {
        const key = keyOf({ list, image })
        const known = before.get(key)
        const isSame = isDeepStrictEqual(known?.image, image) && isDeepStrictEqual(known?.list.secrets, list.secrets)
        if (known !== undefined && isSame) this.#entries.set(key, Object.assign(known, { list }))
        else this.#entries.set(key, waiting(list, image, Date.now() + first))
      }
    this.#declared = declared
    this.#mustRelease = true
    this.wake()
  }

  /** Something has changed that may let a pull begin. */
  wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
    this.#tell()
  }

  /** Looks at every image now that was looked at before, those too that wait to be tried again. */
  look(): void {
    const now = Date.now()
    for (const entry of this.#entries.values()) if (entry.state.kind !== 'waiting') entry.due = Math.min(entry.due, now)
    this.wake()
  }

  /** What is declared and how far it is. */
  queue(): Omit<DeclaredQueue, 'problems'> {
    return {
      lists: this.#declared.lists.map(({ name }) => name),
      images: this.#inOrder().map(({ list, image, state }) => ({
        list: list.name,
        name: image.name,
        priority: list.priority,
        state,
      })),
      ...(this.#held === undefined ? {} : { held: this.#held }),
    }
  }

  /** Calls back whenever the queue, or a pull in flight, may have changed; stops on abort. Must not throw. */
  watch(onChange: () => void, { signal }: Abortable): void {
    if (signal.aborted) return
    this.#watchers.add(onChange)
    signal.addEventListener('abort', () => this.#watchers.delete(onChange), { once: true })
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #hold(why: string | undefined): void {
    if (this.#held === why) return
    this.#held = why
    this.#tell()
  }

  /** Until the signal aborts; then once every pull has ended. */
  async run({ signal }: Abortable): Promise<void> {
    while (!signal.aborted) {
      const changed = this.#changed.promise
      const wait = await this.#tryStep(signal)
      const timer =
        wait === undefined ? undefined : setTimeout(() => this.wake(), Math.max(0, Math.min(wait, 2 ** 31 - 1))).unref()
      await unlessAborted(changed, signal).catch(() => {})
      clearTimeout(timer)
    }
    await Promise.all(this.#running)
  }

  async #tryStep(signal: AbortSignal): Promise<number | undefined> {
    try {
      return await this.#step(signal)
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'what is to be pulled ahead could not be looked at; it is tried again')
      return ROOM_MS
    }
  }

  /** Begins what may begin; returns after how long there is more to do by the clock. */
  async #step(signal: AbortSignal): Promise<number | undefined> {
    const place = this.#parts.place()
    if (place === undefined) {
      this.#hold('pulls are the runtime’s just now')
      return undefined
    }
    this.#watch(place.puller, signal)
    if (this.#mustRelease) await this.#release(place)
    const now = Date.now()
    for (const entry of this.#inOrder()) {
      if (entry.due > now || entry.state.kind === 'pulling') continue
      if (this.#running.size >= this.#parts.maxParallel) return undefined
      // Whoever waits for a pod goes first; the end of that pull wakes us.
      if (isPodWaiting(place)) {
        this.#hold('pulls that somebody waits for go first')
        return undefined
      }
      if (!(await this.#isHere(entry, place)) && !(await this.#hasRoom(place))) return ROOM_MS
      if (this.#entries.get(keyOf(entry)) === entry) this.#begin(entry, place, signal)
    }
    this.#hold(undefined)
    const next = Math.min(...[...this.#entries.values()].filter(({ state }) => state.kind !== 'pulling').map(({ due }) => due))
    return Number.isFinite(next) ? next - Date.now() : undefined
  }

  /** Lists of a higher priority first, then as they are written. */
  #inOrder(): readonly Entry[] {
    return [...this.#entries.values()].toSorted((a, b) => b.list.priority - a.list.priority)
  }

  #watch(puller: Place['puller'], signal: AbortSignal): void {
    if (this.#watched === puller) return
    this.#watched = puller
    puller.watch(() => this.wake(), { signal })
  }

  async #isHere({ image }: Entry, { store }: Place): Promise<boolean> {
    return (await store.find(image.name).catch(() => undefined)) !== undefined
  }

  async #hasRoom({ store }: Place): Promise<boolean> {
    const { freePercent, minFreePercent, log } = this.#parts
    const free = await freePercent(store.overlayDir)
    if (free >= minFreePercent) return true
    const why = `less than ${minFreePercent} % of the disk is free`
    if (why !== this.#held) log.warn({ freePercent: Math.floor(free) }, `${why}; nothing is pulled ahead`)
    this.#hold(why)
    return false
  }

  #begin(entry: Entry, place: Place, signal: AbortSignal): void {
    const before = begin(entry)
    this.#tell()
    const work = this.#bring(entry, before, place, signal).finally(() => {
      this.#running.delete(work)
      this.wake()
    })
    this.#running.add(work)
  }

  async #bring(entry: Entry, before: ImageState, place: Place, signal: AbortSignal): Promise<void> {
    const { image, list } = entry
    const deadlineMs = image.deadlineMs ?? DEADLINE_MS
    const deadline = AbortSignal.timeout(deadlineMs)
    const options = { signal: AbortSignal.any([signal, deadline]) }
    try {
      const kept = await keep(place, this.#parts.means, list, image, mustAsk(entry), options)
      hasCome(entry, kept, before, this.#random)
      if (before.kind !== 'here' && !kept.isProtected)
        this.#parts.log.warn(
          { list: list.name, reference: image.name },
          'pulled ahead, unprotected: the runtime shows no pin of it',
        )
      // The tag may have moved away from an image that this list has pinned.
      if (kept.isPulled) this.#mustRelease = true
    } catch (error) {
      if (signal.aborted) {
        entry.state = before
        return
      }
      const failure = failureOf(error)
      const reason = deadline.aborted ? `not done within ${deadlineMs / 1000} s` : describe(failure)
      const againMs = hasFailed(entry, reason, this.#random)
      this.#parts.log.warn(
        { list: list.name, reference: image.name, failure: failure.kind, attempts: entry.attempts, againMs },
        `not pulled ahead: ${reason}`,
      )
    }
  }

  /** A file that cannot be read may declare what it declared before this start: then everything stays. */
  async #release({ store }: Place): Promise<void> {
    this.#mustRelease = false
    if (!this.#declared.isWhole) return
    try {
      for (const { image, owner } of await release(store, this.#declared.lists))
        this.#parts.log.info({ image, owner }, 'declared no more: unpinned')
    } catch (error) {
      this.#parts.log.warn(
        { err: error },
        'what is declared no more could not be unpinned; it is tried again with the next change',
      )
    }
  }
}

const isPodWaiting = ({ puller }: Place): boolean => puller.inFlight().some(isAwaited)
