/** Layers as containerd's snapshots: found, held by leases, and made of trees that are on disk. */
import { randomUUID } from 'node:crypto'
import { relative } from 'node:path'
import { z } from 'zod'
import { fail, WindlassError } from '../../failure/failure.ts'
import { type DiffId, hexOf, isDigest, isLayerId, type LayerId } from '../../oci/digest.ts'
import type { Info__Output } from '../../rpc/generated/containerd/services/snapshots/v1/Info.ts'
import { diffId } from '../common/schemas.ts'
import type { Thread } from '../common/thread.ts'
import type { UnpackedFacts } from '../facts.ts'
import type { StoredLayer } from '../store.ts'
import type { Daemon } from './daemon.ts'
import type { ContainerdLease } from './leases.ts'
import { directoriesOf } from './mounts.ts'
import type { MoverDuties } from './mover.ts'
import { chainIdOf, FACTS, SNAPSHOT_REF, SNAPSHOTTER } from './names.ts'
import type { PendingLayer } from './pending.ts'
import type { Staging } from './staging.ts'

/** Where snapshots lie never changes, but a name that was removed may come again elsewhere: hence the time it was made. */
type Place = { readonly made: string; readonly dir: string }

const MAX_PLACES = 10_000

export class Snapshots {
  readonly #daemon: Daemon
  readonly #staging: Staging
  readonly #mover: Thread<MoverDuties>
  readonly #onLost: ((error: Error) => void) | undefined
  readonly #places = new Map<string, Place>()

  /** `onLost` hears where the staging area has lost what holds it: only a new store has another. */
  constructor(daemon: Daemon, staging: Staging, mover: Thread<MoverDuties>, onLost?: (error: Error) => void) {
    this.#daemon = daemon
    this.#staging = staging
    this.#mover = mover
    this.#onLost = onLost
  }

  async exists(id: LayerId): Promise<boolean> {
    return (await this.#stat(chainIdOf(id))) !== undefined
  }

  /** A committed snapshot as a layer; one that containerd unpacked itself has no figures. */
  async find(id: LayerId): Promise<StoredLayer | undefined> {
    const info = await this.#stat(chainIdOf(id))
    if (info === undefined) return undefined
    const diff = await this.#dirOf(info)
    if (diff === undefined) return undefined
    const parent = layerIdIn(info.parent)
    return {
      id,
      ...(parent === undefined ? {} : { parent }),
      diff,
      short: relative(this.#staging.snapshots, diff),
      ...factsIn(info),
    }
  }

  /** The layers whose snapshots have our label. */
  async ours(): Promise<ReadonlySet<LayerId>> {
    const infos = await this.#list([`labels."${FACTS}"`])
    return new Set(infos.flatMap(({ name }) => layerIdIn(name) ?? []))
  }

  /** Everything there is, whosever it is. */
  all(): Promise<readonly Info__Output[]> {
    return this.#list([])
  }

  /** The directories of a committed snapshot and of those below it, nearest first. */
  async lowers(id: LayerId): Promise<readonly string[]> {
    return await this.#view(chainIdOf(id))
  }

  /**
   * Makes a tree that is on disk the snapshot of its chainID, or leaves the one that somebody has made meanwhile. Whatever comes of it,
   * the tree may have been moved: it is not to be used again. Throws runtime, system.
   */
  async commit({ id, diffId, parent, dir, facts }: PendingLayer, lease: ContainerdLease): Promise<void> {
    const name = chainIdOf(id)
    const key = `windlass-${randomUUID()} ${name}`
    const labels = { [SNAPSHOT_REF]: name, [FACTS]: factsLabel(diffId, facts) }
    const prepare = { snapshotter: SNAPSHOTTER, key, parent: parent === undefined ? '' : chainIdOf(parent), labels }
    // By the label containerd sees whose layer this is to be, and refuses where it is there.
    const prepared = await this.#daemon.callUnless(
      'ALREADY_EXISTS',
      'prepare a snapshot',
      ({ snapshots }, options) => snapshots.prepare(prepare, options),
      lease.id,
    )
    if (prepared === undefined) return await lease.hold({ snapshot: name })
    const { upper } = directoriesOf(prepared.mounts)
    if (upper === undefined) fail({ kind: 'internal', what: 'a prepared snapshot has no directory to write to' })
    await this.#mover.call('place', { from: `${dir}/diff`, to: upper })
    const committed = await this.#daemon.callUnless(
      'ALREADY_EXISTS',
      'commit a snapshot',
      ({ snapshots }, options) => snapshots.commit({ snapshotter: SNAPSHOTTER, name, key, labels }, options),
      lease.id,
    )
    if (committed !== undefined) return
    await this.remove(key)
    await lease.hold({ snapshot: name })
  }

  /** Nothing is done where there is none. Throws runtime, for one that others stand on, too. */
  async remove(key: string): Promise<void> {
    await this.#daemon.callUnless('NOT_FOUND', 'remove a snapshot', ({ snapshots }, options) =>
      snapshots.remove({ snapshotter: SNAPSHOTTER, key }, options),
    )
  }

  async #list(filters: readonly string[]): Promise<readonly Info__Output[]> {
    const request = { snapshotter: SNAPSHOTTER, filters: [...filters] }
    return await this.#daemon.call('list snapshots', async ({ snapshots }, options) => {
      const found: Info__Output[] = []
      for await (const { info } of snapshots.list(request, options)) found.push(...info)
      return found
    })
  }

  async #stat(name: string): Promise<Info__Output | undefined> {
    const found = await this.#daemon.callUnless('NOT_FOUND', 'look for a snapshot', ({ snapshots }, options) =>
      snapshots.stat({ snapshotter: SNAPSHOTTER, key: name }, options),
    )
    return found?.info ?? undefined
  }

  /** Undefined where it has just been collected. */
  async #dirOf(info: Info__Output): Promise<string | undefined> {
    const known = this.#places.get(info.name)
    if (known?.made === madeAt(info)) return known.dir
    const dirs = await this.#view(info.name)
    // One view tells of all below.
    let each: Info__Output | undefined = info
    for (const dir of dirs) {
      if (each === undefined) break
      // Whoever saw this one saw those below it.
      if (this.#places.get(each.name)?.made === madeAt(each)) break
      this.#remember(each, dir)
      each = each.parent === '' ? undefined : await this.#stat(each.parent)
    }
    return dirs[0]
  }

  /**
   * A read-only snapshot above it names the directories, and goes again. None where it has just been collected. Throws runtime where the
   * lease is gone, which holds what is staged, too.
   */
  async #view(parent: string): Promise<readonly string[]> {
    const view = { snapshotter: SNAPSHOTTER, key: `windlass-view-${randomUUID()}`, parent }
    const shown = await this.#daemon.callUnless(
      'NOT_FOUND',
      'show a snapshot',
      ({ snapshots }, options) => snapshots.view(view, options),
      this.#staging.lease,
    )
    if (shown === undefined) {
      if ((await this.#stat(parent)) === undefined) return []
      const error = this.#leaseLost()
      this.#onLost?.(error)
      throw error
    }
    await this.remove(view.key)
    return directoriesOf(shown.mounts).lowers
  }

  /** Of a lease and of a snapshot containerd says the same. */
  #leaseLost(): WindlassError {
    const detail = `the lease of the staging area, ${this.#staging.lease}, is gone`
    const { socket } = this.#daemon
    return new WindlassError({
      kind: 'runtime',
      runtime: 'containerd',
      socket,
      operation: 'show a snapshot',
      code: 'NOT_FOUND',
      detail,
    })
  }

  #remember(info: Info__Output, dir: string): void {
    const [oldest] = this.#places.keys()
    if (oldest !== undefined && this.#places.size >= MAX_PLACES) this.#places.delete(oldest)
    this.#places.set(info.name, { made: madeAt(info), dir })
  }
}

/** What this store calls the layer whose snapshot has this name. */
export function layerIdIn(name: string): LayerId | undefined {
  const hex = isDigest(name) ? hexOf(name) : ''
  return isLayerId(hex) ? hex : undefined
}

const madeAt = ({ createdAt }: Info__Output): string => `${createdAt?.seconds}.${createdAt?.nanos}`

const count = z.int().nonnegative()
const labelled = z.object({
  diffId,
  diffSize: count,
  entries: count,
  whiteouts: count,
})
type Labelled = z.output<typeof labelled>

const factsLabel = (diffId: DiffId, { diffSize, entries, whiteouts }: UnpackedFacts): string =>
  JSON.stringify({ diffId, diffSize, entries, whiteouts } satisfies Labelled)

/** What our label says; anybody may have written it, and containerd writes none. */
function factsIn({ labels }: Info__Output): Pick<StoredLayer, 'diffId' | 'facts'> {
  try {
    const { diffId, ...facts } = labelled.parse(JSON.parse(labels[FACTS] ?? 'null'))
    return { diffId, facts }
  } catch {
    return {}
  }
}
