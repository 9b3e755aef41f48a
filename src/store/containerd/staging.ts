/**
 * Where layers are unpacked: in one snapshot of containerd's own, prepared without a parent and leased. Only so do staged trees lie in
 * the mount their final place is in, where a rename can reach it, and containerd's cleanup, which removes whatever below `snapshots/` its
 * database does not know, leaves them alone. One directory in it is all that extractors may write to.
 */
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asWindlassError, fail, failureOf } from '../../failure/failure.ts'
import type { StoreLog } from '../common/log.ts'
import type { Daemon } from './daemon.ts'
import type { ContainerdLease, Leases } from './leases.ts'
import { directoriesOf } from './mounts.ts'
import { SNAPSHOTTER } from './names.ts'

/** The lease is taken anew long before it ends: three attempts may fail. */
const RENEWALS = 4

export class Staging implements AsyncDisposable {
  /** Where layers are unpacked: all that an extractor may write to. Absolute. */
  readonly incoming: string
  /** What was unpacked and waits for its place: out of the extractors' reach, but for reading. */
  readonly landed: string
  /** What has lost its purpose, for the sweeper. */
  readonly trash: string
  readonly #upper: string
  readonly #key: string
  readonly #leases: Leases
  readonly #log: StoreLog
  readonly #renewal: NodeJS.Timeout
  #lease: ContainerdLease
  #isClosed = false

  private constructor(upper: string, key: string, lease: ContainerdLease, leases: Leases, log: StoreLog) {
    this.#upper = upper
    this.incoming = join(upper, 'incoming')
    this.landed = join(upper, 'landed')
    this.trash = join(upper, 'trash')
    this.#key = key
    this.#lease = lease
    this.#leases = leases
    this.#log = log
    this.#renewal = setInterval(() => void this.#renew(), leases.lifetimeMs / RENEWALS).unref()
  }

  static async open(daemon: Daemon, leases: Leases, log: StoreLog): Promise<Staging> {
    await using undo = new AsyncDisposableStack()
    const lease = undo.use(await leases.create())
    const key = `windlass-staging-${randomUUID()}`
    const prepare = { snapshotter: SNAPSHOTTER, key, parent: '' }
    const { mounts } = await daemon.call(
      'prepare a snapshot',
      ({ snapshots }, options) => snapshots.prepare(prepare, options),
      lease.id,
    )
    const { upper } = directoriesOf(mounts)
    if (upper === undefined) fail({ kind: 'internal', what: 'a prepared snapshot has no directory to write to' })
    const staging = new Staging(upper, key, lease, leases, log)
    for (const each of [staging.incoming, staging.landed, staging.trash]) await makeDirectory(each)
    undo.move()
    return staging
  }

  /** The lease that holds everything here, for what is made in passing. */
  get lease(): string {
    return this.#lease.id
  }

  /** The directory all snapshots lie in: `<n>/fs` each. */
  get snapshots(): string {
    return dirname(dirname(this.#upper))
  }

  /** A new directory. */
  async make(): Promise<string> {
    const dir = join(this.incoming, randomUUID())
    await makeDirectory(dir)
    return dir
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#renewal)
    await this.#lease[Symbol.asyncDispose]()
  }

  async #renew(): Promise<void> {
    try {
      await using undo = new AsyncDisposableStack()
      const next = undo.use(await this.#leases.create())
      await next.hold({ snapshot: this.#key })
      if (this.#isClosed) return
      undo.move()
      const last = this.#lease
      this.#lease = next
      await last[Symbol.asyncDispose]()
    } catch (error) {
      this.#log.warn({ failure: failureOf(error) }, 'the lease of the staging area could not be renewed; it is tried again')
    }
  }
}

const makeDirectory = (dir: string): Promise<unknown> =>
  mkdir(dir, { mode: 0o700 }).catch((error) => {
    throw asWindlassError(error)
  })
