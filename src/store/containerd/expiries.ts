/**
 * A time to live is a label on each record of an image, the one by its id among them where the CRI plugin has made one: a record without it
 * holds the image. containerd removes the records by that, if its version does.
 *
 *     a pull ahead begins: which records are here for good → (pulled) → no such record is the image's: all of its records get the time
 */
import type { Digest } from '../../oci/digest.ts'
import { Limiter } from '../../task/limiter.ts'
import type { Expiries, Expiring } from '../expiry.ts'
import type { StoredImage } from '../store.ts'
import type { Catalog, Named } from './catalog.ts'
import { gc, PINNED } from './names.ts'
import type { Names } from './naming.ts'

/** A pull ahead that is under way: what was here for good when it began, and what somebody has wanted for good since. */
type Ahead = { readonly before: readonly Named[]; readonly wanted: Set<Digest> }

/** Images whose time was set by this process, some 100 bytes each. */
const MAX_GIVEN = 20_000

export class RecordExpiries implements Expiries {
  readonly #catalog: Catalog
  readonly #names: Names
  readonly #ahead = new Set<Ahead>()
  /** Whoever has read an image before it was given its time does not know of it. */
  readonly #given = new Set<Digest>()
  /** Giving and taking is several calls each. */
  readonly #turns = new Limiter(1)

  constructor(catalog: Catalog, names: Names) {
    this.#catalog = catalog
    this.#names = names
  }

  async begin(): Promise<Expiring> {
    const before = (await this.#catalog.records()).filter(({ expiresAt }) => expiresAt === undefined)
    const ahead: Ahead = { before, wanted: new Set() }
    this.#ahead.add(ahead)
    return {
      give: (id, at) => this.#give(ahead, id, at),
      [Symbol.dispose]: () => void this.#ahead.delete(ahead),
    }
  }

  async stays({ id, expiry }: Pick<StoredImage, 'id' | 'expiry'>): Promise<boolean> {
    for (const { wanted } of this.#ahead) wanted.add(id)
    if (expiry === undefined && !this.#given.has(id)) return true
    using _turn = await this.#turn()
    const isHere = await this.#label(await this.#catalog.recordsOf(id), undefined)
    this.#given.delete(id)
    return isHere
  }

  /** An image that goes by itself does not go before that, or does not at all. False where it has gone. */
  async atLeast(id: Digest, until: Date | undefined): Promise<boolean> {
    using _turn = await this.#turn()
    const own = await this.#catalog.recordsOf(id)
    if (own.length === 0) return false
    const times = own.flatMap(({ expiresAt }) => expiresAt?.getTime() ?? [])
    const isLater = times.length > 0 && (until === undefined || Math.max(...times) < until.getTime())
    return isLater
      ? await this.#label(
          own.filter(({ expiresAt }) => expiresAt !== undefined),
          until,
        )
      : true
  }

  /** Marks an image that is here already, whoever pulled it, as one that must stay. */
  async pin(name: string): Promise<void> {
    await this.#names.label(name, PINNED)
    const image = await this.#catalog.find(name)
    if (image !== undefined) await this.stays(image)
  }

  async #give({ before, wanted }: Ahead, id: Digest, at: Date): Promise<Date | 'stays' | 'gone'> {
    // Who wants it from here on finds it among these, and waits for its turn.
    if (wanted.has(id)) return 'stays'
    this.#remember(id)
    using _turn = await this.#turn()
    const own = await this.#catalog.recordsOf(id)
    if (own.some((record) => before.some((each) => isSame(each, record)))) return 'stays'
    if (own.some(({ pinned }) => pinned)) {
      await this.#label(own, undefined)
      return 'stays'
    }
    const latest = new Date(Math.max(at.getTime(), ...own.map(({ expiresAt }) => expiresAt?.getTime() ?? 0)))
    return (await this.#label(own, latest)) ? latest : 'gone'
  }

  /** False where none of them is left. */
  async #label(records: readonly Named[], at: Date | undefined): Promise<boolean> {
    let isHere = false
    for (const { name, expiresAt } of records) {
      const isSo = expiresAt?.getTime() === at?.getTime()
      if (isSo || (await this.#names.label(name, { [gc.expire]: at?.toISOString() ?? '' }))) isHere = true
    }
    return isHere
  }

  #remember(id: Digest): void {
    const [oldest] = this.#given
    if (oldest !== undefined && this.#given.size >= MAX_GIVEN) this.#given.delete(oldest)
    this.#given.add(id)
  }

  #turn(): Promise<Disposable> {
    const { signal } = new AbortController()
    return this.#turns.acquire({ signal })
  }
}

/** A tag that has moved here since held another image. */
const isSame = (one: Named, other: Named): boolean => one.name === other.name && one.target.digest === other.target.digest
