/** What layers may take of this node's network: connections, all together and to one host, bytes a second, and memory for bytes that are early. */
import { Limiter, type Permit } from '../task/limiter.ts'
import { Rate } from '../task/rate.ts'
import type { Abortable } from '../task/task.ts'
import type { Host } from './hosts.ts'
import { wait } from './retry.ts'

export type TransferLimits = {
  /** Connections that bring layers. Documents and tokens have theirs beside them, so that no layer holds up a manifest. */
  readonly maxConnections: number
  readonly maxConnectionsPerHost: number
  /** For one layer, where that makes it faster. */
  readonly maxConnectionsPerLayer: number
  /** Over all layers; absent: as many as come. */
  readonly maxBytesPerSecond?: number
}

export const unlimited: TransferLimits = { maxConnections: 64, maxConnectionsPerHost: 64, maxConnectionsPerLayer: 4 }

/** Bytes of a layer that one connection brings at a time where several share it. */
export const SEGMENT = 4 * 1024 * 1024
/** Of them at most so many are in memory, however many layers come that way. */
const MAX_SEGMENTS = 8

export class Throttle {
  readonly maxConnectionsPerLayer: number
  readonly segments = new Limiter(MAX_SEGMENTS)
  readonly #limits: TransferLimits
  readonly #all: Limiter
  readonly #hosts = new Map<string, Limiter>()
  readonly #rate: Rate

  constructor(limits: TransferLimits) {
    this.#limits = limits
    this.maxConnectionsPerLayer = limits.maxConnectionsPerLayer
    this.#all = new Limiter(limits.maxConnections)
    this.#rate = new Rate(limits.maxBytesPerSecond)
  }

  /** Waits for a connection's place. */
  async admit(host: Host, options: Abortable): Promise<Permit> {
    using waiting = new DisposableStack()
    // The host's first: who waits for a busy host must not hold a place that another host's layers could use.
    waiting.use(await this.#at(host).acquire(options))
    waiting.use(await this.#all.acquire(options))
    return this.#leaving(host, waiting.move())
  }

  /** A place for one more, if there is one now. */
  tryAdmit(host: Host): Permit | undefined {
    using taken = new DisposableStack()
    const here = this.#at(host).tryAcquire()
    if (here === undefined) return undefined
    taken.use(here)
    const anywhere = this.#all.tryAcquire()
    if (anywhere === undefined) return undefined
    taken.use(anywhere)
    return this.#leaving(host, taken.move())
  }

  /** Whether a layer from there may have more connections than its one. */
  mayShare(host: Host): boolean {
    return this.maxConnectionsPerLayer > 1 && this.segments.free > 1 && this.#at(host).free > 0 && this.#all.free > 0
  }

  /** Counts bytes that came; a promise where they came too fast. It resolves once the next may. */
  take(bytes: number, signal: AbortSignal): Promise<void> | undefined {
    const ms = this.#rate.spend(bytes)
    return ms === undefined ? undefined : wait(ms, signal)
  }

  #at({ name }: Host): Limiter {
    const known = this.#hosts.get(name)
    if (known !== undefined) return known
    const limiter = new Limiter(this.#limits.maxConnectionsPerHost)
    this.#hosts.set(name, limiter)
    return limiter
  }

  #leaving({ name }: Host, held: DisposableStack): Permit {
    return {
      [Symbol.dispose]: () => {
        held.dispose()
        if (this.#hosts.get(name)?.isIdle === true) this.#hosts.delete(name)
      },
    }
  }
}
