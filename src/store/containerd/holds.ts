/**
 * What pulls count on. Within this process it is a set of layers for each pull; in containerd a lease, taken when there is something
 * to hold there, because what a pull found waiting here may become another image's snapshot, and go with that.
 */
import { WindlassError } from '../../failure/failure.ts'
import type { LayerId } from '../../oci/digest.ts'
import { unlessAborted } from '../../task/flights.ts'
import type { Abortable } from '../../task/task.ts'
import type { ContainerdLease, Held, Leases } from './leases.ts'
import { chainIdOf } from './names.ts'

/** One pull's. Giving it back lets containerd collect what it alone held. */
export class Hold implements AsyncDisposable {
  readonly ids: Set<LayerId>
  readonly #leases: Leases
  readonly #givenBack: (hold: Hold) => void
  readonly #gone = new AbortController()
  #lease: Promise<ContainerdLease> | undefined

  constructor(leases: Leases, ids: readonly LayerId[], givenBack: (hold: Hold) => void) {
    this.#leases = leases
    this.ids = new Set(ids)
    this.#givenBack = givenBack
  }

  lease(): Promise<ContainerdLease> {
    if (this.#lease !== undefined) return this.#lease
    const made = this.#leases.create(this.#gone.signal)
    this.#lease = made
    // The next one who wants it tries anew.
    made.catch(() => {
      this.#lease = undefined
    })
    return made
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#givenBack(this)
    this.#gone.abort(new WindlassError({ kind: 'cancelled', reason: 'cancelled' }))
    // One that could not be made has been told of by whoever wanted it.
    const lease = await this.#lease?.catch(() => undefined)
    await lease?.[Symbol.asyncDispose]()
  }
}

export class Holds {
  readonly #leases: Leases
  readonly #all = new Set<Hold>()
  /** Layers that are being taken away, and when that is over. */
  readonly #claims = new Map<LayerId, Promise<void>>()
  /** The next time a hold is given back. */
  #givenBack = Promise.withResolvers<void>()

  constructor(leases: Leases) {
    this.#leases = leases
  }

  add(ids: readonly LayerId[] = []): Hold {
    const hold = new Hold(this.#leases, ids, (gone) => this.#forget(gone))
    this.#all.add(hold)
    return hold
  }

  /** From now on a pull counts on these, too; it waits while one of them is being taken away. */
  async extend(hold: Hold, ids: readonly LayerId[]): Promise<void> {
    // Looked at again after each wait: from the last look to the adding there is no await in between.
    for (let claim = this.#claimOn(ids); claim !== undefined; claim = this.#claimOn(ids)) await claim
    for (const id of ids) hold.ids.add(id)
  }

  /**
   * Takes a layer out of the pulls' reach, and with it all that stand on it: waits until no pull counts on it, and lets none begin to until
   * what it returns is disposed. Throws the signal's reason.
   */
  async claim(id: LayerId, { signal }: Abortable): Promise<Disposable> {
    for (;;) {
      const busy = this.#claims.get(id) ?? (this.ids().has(id) ? this.#givenBack.promise : undefined)
      if (busy === undefined) break
      await unlessAborted(busy, signal)
    }
    const over = Promise.withResolvers<void>()
    this.#claims.set(id, over.promise)
    return {
      [Symbol.dispose]: () => {
        this.#claims.delete(id)
        over.resolve()
      },
    }
  }

  /** Every layer that some pull counts on. */
  ids(): ReadonlySet<LayerId> {
    return new Set([...this.#all].flatMap(({ ids }) => [...ids]))
  }

  /** Holds a layer's snapshot, or its blob, for each pull that counts on it. */
  async keep(id: LayerId, what: Held = { snapshot: chainIdOf(id) }): Promise<void> {
    for (const hold of this.#all) {
      if (!hold.ids.has(id)) continue
      try {
        await (await hold.lease()).hold(what)
      } catch (error) {
        // Given back meanwhile, and its lease with it.
        if (this.#all.has(hold)) throw error
      }
    }
  }

  #claimOn(ids: readonly LayerId[]): Promise<void> | undefined {
    return ids.map((id) => this.#claims.get(id)).find((claim) => claim !== undefined)
  }

  #forget(hold: Hold): void {
    this.#all.delete(hold)
    this.#givenBack.resolve()
    this.#givenBack = Promise.withResolvers()
  }
}
