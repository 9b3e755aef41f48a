/**
 * Leases keep containerd's garbage collection away from what no image holds yet. Each has an owner, this store, and an end: whatever
 * kills us, what a pull leaves behind goes, at our next start or when the lease expires.
 *
 * They are deleted without waiting for the collection (`sync`), which would block all other writers of the daemon.
 */
import { randomUUID } from 'node:crypto'
import { failureOf } from '../../failure/failure.ts'
import type { Digest } from '../../oci/digest.ts'
import { unlessAborted } from '../../task/flights.ts'
import type { StoreLog } from '../common/log.ts'
import type { Daemon } from './daemon.ts'
import { gc, OWNER, SNAPSHOTTER } from './names.ts'

/** Far longer than a pull takes; what containerd's own clients use. */
const LIFETIME_MS = 24 * 3_600_000

/** Nobody who leaves waits longer for a containerd that stands still. */
const DELETE_MS = 5_000

/** What a lease can hold. */
export type Held = { readonly snapshot: string } | { readonly content: Digest }

/** One lease. Disposing it lets containerd collect what it held. */
export interface ContainerdLease extends AsyncDisposable {
  readonly id: string
  hold(what: Held): Promise<void>
}

export class Leases {
  readonly #daemon: Daemon
  readonly #owner: string
  readonly #log: StoreLog
  /** How long each lives. */
  readonly lifetimeMs: number
  /** Those that containerd was not there to delete. */
  readonly #left = new Set<string>()

  /** `owner` tells one store's leases from another's: hex digits. */
  constructor(daemon: Daemon, owner: string, log: StoreLog, lifetimeMs = LIFETIME_MS) {
    this.#daemon = daemon
    this.#owner = owner
    this.#log = log
    this.lifetimeMs = lifetimeMs
  }

  /** Throws as a call does, and the signal's reason; a lease that is made too late for it is given back by itself. */
  async create(signal?: AbortSignal): Promise<ContainerdLease> {
    const made = this.#make()
    if (signal === undefined) return await made
    try {
      return await unlessAborted(made, signal)
    } catch (error) {
      // Why it cannot be made concerns nobody any more.
      if (signal.aborted) void made.then((late) => late[Symbol.asyncDispose]()).catch(() => {})
      throw error
    }
  }

  async #make(): Promise<ContainerdLease> {
    const id = `windlass-${randomUUID()}`
    const labels = { [gc.expire]: new Date(Date.now() + this.lifetimeMs).toISOString(), [OWNER]: this.#owner }
    await this.#daemon.call('create a lease', ({ leases }, options) => leases.create({ id, labels }, options))
    // It answers again.
    for (const left of this.#left) await this.#delete(left)
    return {
      id,
      hold: (what) => this.#hold(id, what),
      [Symbol.asyncDispose]: () => this.#delete(id),
    }
  }

  /** What earlier runs of this store left. Nothing of this run may have a lease yet. */
  async abandoned(): Promise<readonly string[]> {
    const filters = [`labels."${OWNER}"==${this.#owner}`]
    const { leases } = await this.#daemon.call('list leases', (c, options) => c.leases.list({ filters }, options))
    return leases.map(({ id }) => id)
  }

  async drop(abandoned: readonly string[]): Promise<void> {
    if (abandoned.length > 0) this.#log.info({ leases: abandoned.length }, 'dropping leases of an earlier run')
    for (const id of abandoned) await this.#delete(id)
  }

  async #hold(id: string, what: Held): Promise<void> {
    const resource =
      'snapshot' in what ? { id: what.snapshot, type: `snapshots/${SNAPSHOTTER}` } : { id: what.content, type: 'content' }
    await this.#daemon.call('hold what a pull needs', ({ leases }, options) => leases.addResource({ id, resource }, options))
  }

  /** What cannot be deleted now is tried again with the next lease, and expires by itself, so nobody need hear of it. */
  async #delete(id: string): Promise<void> {
    try {
      await this.#daemon.undo(async () => {
        await this.#daemon.callUnless('NOT_FOUND', 'delete a lease', ({ leases }, options) =>
          leases.delete({ id, sync: false }, { ...options, deadline: new Date(Date.now() + DELETE_MS) }),
        )
      })
      this.#left.delete(id)
    } catch (error) {
      this.#left.add(id)
      this.#log.warn({ lease: id, failure: failureOf(error) }, 'a lease stays until the next one is taken, or it expires')
    }
  }
}
