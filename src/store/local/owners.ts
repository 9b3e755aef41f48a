/** Who owns what is in a layer's tree. containers/storage sizes a user namespace by the highest (`podman run --userns=auto`). */
import type { Stat } from '../../sys/libc.ts'
import type { Owners } from './records.ts'

/** A layer may give each of two million files an owner of its own; layers.json is read whole by every podman that starts. */
const MOST = 1000

export class OwnerCount {
  readonly #uids = new Set<number>()
  readonly #gids = new Set<number>()

  add({ uid, gid }: Pick<Stat, 'uid' | 'gid'>): void {
    this.#uids.add(uid)
    this.#gids.add(gid)
  }

  owners(): Owners {
    return { uids: highest(this.#uids), gids: highest(this.#gids) }
  }
}

const highest = (ids: ReadonlySet<number>): readonly number[] => [...ids].sort((a, b) => a - b).slice(-MOST)
