/**
 * What containerd does not look after by itself, every ten minutes: an image that a container stands on does not go by its time, and a pin whose
 * time is over goes.
 */
import type { StoreLog } from '../common/log.ts'
import type { Catalog } from './catalog.ts'
import type { Daemon } from './daemon.ts'
import type { RecordExpiries } from './expiries.ts'
import type { RecordPins } from './pins.ts'

export type UpkeepParts = {
  readonly daemon: Daemon
  readonly catalog: Catalog
  readonly expiries: RecordExpiries
  readonly pins: RecordPins
  readonly log: StoreLog
  /** By default ten minutes. */
  readonly everyMs?: number
}

const EVERY_MS = 600_000
/** A pod whose container ends may be given a new one within this time. */
const USED_MS = 24 * 3_600_000

export class Upkeep implements AsyncDisposable {
  readonly #parts: UpkeepParts
  readonly #timer: NodeJS.Timeout
  #round: Promise<void> = Promise.resolve()

  constructor(parts: UpkeepParts) {
    this.#parts = parts
    this.#timer = setInterval(() => void this.round(), parts.everyMs ?? EVERY_MS).unref()
  }

  /** One after the other; never rejects. */
  round(): Promise<void> {
    this.#round = this.#round.then(() => this.#tryRound())
    return this.#round
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#round
  }

  async #tryRound(): Promise<void> {
    const { pins, log } = this.#parts
    try {
      await pins.expire()
      await this.#renew()
    } catch (error) {
      log.warn({ err: error }, 'images that containers stand on could not be looked after; they are in ten minutes')
    }
  }

  /** Only where half of that time is over: each is a write to each record of an image. */
  async #renew(): Promise<void> {
    const { catalog, expiries } = this.#parts
    const soon = Date.now() + USED_MS / 2
    const timed = (await catalog.records()).filter(({ expiresAt }) => expiresAt !== undefined && expiresAt.getTime() < soon)
    if (timed.length === 0) return
    const used = await this.#usedNames()
    const ids = new Set<string>()
    for (const { name, target } of timed) {
      const id = await catalog.idOf(target)
      if (id === undefined || ids.has(id)) continue
      const names = [name, ...(await catalog.recordsOf(id)).map((record) => record.name)]
      if (!names.some((each) => used.has(each))) continue
      ids.add(id)
      await expiries.atLeast(id, new Date(Date.now() + USED_MS))
    }
  }

  /** Of the image records that containers name, running or not. */
  async #usedNames(): Promise<ReadonlySet<string>> {
    const names = new Set<string>()
    await this.#parts.daemon.call('list containers', async ({ containers }, options) => {
      for await (const { container } of containers.listStream({}, options)) if (container !== null) names.add(container.image)
    })
    return names
  }
}
