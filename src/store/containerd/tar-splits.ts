/**
 * The tar-splits of layers that Windlass has landed, kept in its own root for whoever verifies: containerd has no place for them. One file
 * for each snapshot, under its chainID:
 *
 *     copied before the syncfs that comes before the Commit → found beside a snapshot with our label → swept once that is gone
 *
 * None is worth a pull: what cannot be kept is logged, and its layer is told as unverifiable.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { asWindlassError, failureOf } from '../../failure/failure.ts'
import { isLayerId, type LayerId } from '../../oci/digest.ts'
import { Limiter } from '../../task/limiter.ts'
import type { StoreLog } from '../common/log.ts'
import { TAR_SPLITS } from '../common/root.ts'
import type { Thread } from '../common/thread.ts'
import type { MoverDuties } from './mover.ts'
import type { PendingLayer } from './pending.ts'
import type { Snapshots } from './snapshots.ts'

/** All of them together: those of some 100 GB of images, in small files. */
const MAX_BYTES = 2 ** 30
/** What containerd collects behind our back is noticed so late. */
const SWEEP_MS = 600_000
const SUFFIX = '.gz'

export type TarSplitsParts = {
  readonly root: string
  /** Where layers are unpacked. */
  readonly staging: string
  readonly snapshots: Pick<Snapshots, 'ours'>
  readonly mover: Thread<MoverDuties>
  readonly log: StoreLog
}

export class TarSplits implements Disposable {
  readonly #parts: TarSplitsParts
  readonly #dir: string
  readonly #bytes: Map<LayerId, number>
  /** The syncfs of the staging area does not reach them. */
  readonly #isElsewhere: boolean
  /** What is kept and no snapshot yet must not be swept. */
  readonly #turn = new Limiter(1)
  readonly #sweeping: NodeJS.Timeout

  /** Throws no-space, system. */
  constructor(parts: TarSplitsParts) {
    this.#parts = parts
    this.#dir = join(parts.root, TAR_SPLITS)
    try {
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 })
      this.#bytes = read(this.#dir)
      this.#isElsewhere = statSync(this.#dir).dev !== statSync(parts.staging).dev
    } catch (error) {
      throw asWindlassError(error)
    }
    this.#sweeping = setInterval(() => void this.sweep(), SWEEP_MS).unref()
  }

  /** The file of a layer that is a snapshot of ours, if it is kept. */
  async of(id: LayerId): Promise<string | undefined> {
    if (!this.#bytes.has(id)) return undefined
    const path = this.#path(id)
    const found = await stat(path).catch(() => undefined)
    return found?.isFile() === true ? path : undefined
  }

  /** Keeps those of layers that are about to become snapshots; nothing is swept until what it returns is disposed. Never rejects. */
  async keep(layers: readonly PendingLayer[]): Promise<Disposable> {
    const turn = await this.#turn.acquire({ signal: new AbortController().signal })
    if (layers.length === 0) return turn
    const { log, mover } = this.#parts
    const files = layers.map(({ id, dir }) => ({ from: join(dir, 'tar-split.gz'), to: this.#path(id) }))
    const others = new Map(this.#bytes)
    for (const { id } of layers) others.delete(id)
    const used = others.values().reduce((sum, bytes) => sum + bytes, 0)
    const order = { files, dir: this.#dir, isSynced: this.#isElsewhere, room: Math.max(0, MAX_BYTES - used) }
    const outcomes = await mover.call('keep', order).catch((error: unknown) => layers.map(() => failureOf(error)))
    for (const [at, { id }] of layers.entries()) {
      const outcome = outcomes[at]
      if (typeof outcome === 'number') this.#bytes.set(id, outcome)
      else log.warn({ layer: id, failure: outcome }, 'the tar-split of this layer is not kept: it cannot be verified later')
    }
    return turn
  }

  /** Removes those whose snapshots are gone. What fails is logged, and tried again by the next sweep. */
  async sweep(): Promise<void> {
    using _turn = await this.#turn.acquire({ signal: new AbortController().signal })
    if (this.#bytes.size === 0) return
    const { snapshots, log } = this.#parts
    try {
      const there = await snapshots.ours()
      for (const id of this.#bytes.keys()) {
        if (there.has(id)) continue
        await rm(this.#path(id), { force: true })
        this.#bytes.delete(id)
      }
    } catch (error) {
      const failure = failureOf(error)
      // Nobody waits for it: the store may close under it.
      if (failure.kind !== 'cancelled')
        log.warn({ failure }, 'tar-splits of layers that are gone could not be removed; it is tried again')
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweeping)
  }

  #path(id: LayerId): string {
    return join(this.#dir, `${id}${SUFFIX}`)
  }
}

/** What is there, by size; what a crash has left half written goes. */
function read(dir: string): Map<LayerId, number> {
  const found = new Map<LayerId, number>()
  for (const name of readdirSync(dir)) {
    const id = name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : ''
    if (isLayerId(id)) found.set(id, statSync(join(dir, name)).size)
    else rmSync(join(dir, name), { force: true, recursive: true })
  }
  return found
}
