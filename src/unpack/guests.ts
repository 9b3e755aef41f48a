/**
 * Extractors for trees outside the pool's territory: those of a runtime, among whose neighbours are the files of running containers. Each
 * may read the trees it was started for and no others. What was started for one layer of an image serves for all of them; for the next image
 * there are new ones.
 */
import type { Territory } from '../sys/territory.ts'
import { Extractor } from './child.ts'
import { Warden, type Warn } from './warden.ts'

/** An extractor for one job; what becomes of it when that is over is decided here. */
export type Guest = AsyncDisposable & { readonly extractor: Extractor }

export class Guests implements AsyncDisposable {
  readonly #territoryFor: (trees: readonly string[]) => Territory
  readonly #warn: Warn
  readonly #idleMs: number
  #house: House | undefined
  /** Of those left before, that are not empty yet. */
  readonly #leaving = new Set<Promise<void>>()
  #resting: NodeJS.Timeout | undefined

  constructor(territoryFor: (trees: readonly string[]) => Territory, idleMs: number, warn: Warn) {
    this.#territoryFor = territoryFor
    this.#idleMs = idleMs
    this.#warn = warn
  }

  /** One that may read `trees`; where it has to be started, `among` as well. */
  take(trees: readonly string[], among: readonly string[]): Guest {
    clearTimeout(this.#resting)
    if (this.#house?.has(trees) !== true) {
      this.#leave()
      const all = [...new Set([...trees, ...among])]
      this.#house = new House(this.#territoryFor(all), all, this.#warn)
    }
    const house = this.#house
    const extractor = house.take()
    return {
      extractor,
      [Symbol.asyncDispose]: async () => {
        await house.giveBack(extractor)
        if (house !== this.#house) return
        clearTimeout(this.#resting)
        this.#resting = setTimeout(() => this.#leave(), this.#idleMs).unref()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave()
    await Promise.all(this.#leaving)
  }

  #leave(): void {
    clearTimeout(this.#resting)
    const house = this.#house
    this.#house = undefined
    if (house === undefined) return
    const left = house[Symbol.asyncDispose]().finally(() => this.#leaving.delete(left))
    this.#leaving.add(left)
  }
}

/** What was started for some trees. Disposed while some of it is at work, it ends with that. */
class House implements AsyncDisposable {
  readonly #trees: ReadonlySet<string>
  readonly #warden: Warden
  readonly #warn: Warn
  #idle: Extractor[] = []
  #working = 0
  #isClosed = false

  constructor(territory: Territory, trees: readonly string[], warn: Warn) {
    this.#trees = new Set(trees)
    this.#warden = new Warden(territory, warn)
    this.#warn = warn
  }

  has(trees: readonly string[]): boolean {
    return trees.every((tree) => this.#trees.has(tree))
  }

  take(): Extractor {
    this.#working++
    this.#idle = this.#idle.filter(({ isAlive }) => isAlive)
    return this.#idle.pop() ?? new Extractor(this.#warden, this.#warn)
  }

  async giveBack(extractor: Extractor): Promise<void> {
    this.#working--
    this.#idle.push(extractor)
    if (this.#isClosed) await this.#close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await this.#close()
  }

  async #close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((extractor) => extractor.close()))
    if (this.#working === 0) await this.#warden[Symbol.asyncDispose]()
  }
}
