/** Layers' blobs into containerd's content store while they stream by. */
import { randomUUID } from 'node:crypto'
import type { LayerId } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/oci.ts'
import type { BlobKeeper, KeptBlob } from '../store.ts'
import type { Daemon } from './daemon.ts'
import type { Holds } from './holds.ts'
import type { Leases } from './leases.ts'

export class Blobs implements BlobKeeper {
  readonly #daemon: Daemon
  readonly #leases: Leases
  readonly #holds: Holds

  constructor(daemon: Daemon, leases: Leases, holds: Holds) {
    this.#daemon = daemon
    this.#leases = leases
    this.#holds = holds
  }

  async keep({ digest, size }: Descriptor, layer: LayerId): Promise<KeptBlob | undefined> {
    // Held first, so that what is found is not collected the next moment.
    await this.#holds.keep(layer, { content: digest })
    const there = await this.#daemon.callUnless('NOT_FOUND', 'look for a blob', ({ content }, options) =>
      content.info({ digest }, options),
    )
    if (there !== undefined) return undefined
    await using undo = new AsyncDisposableStack()
    // Of its own: pulls come and go while one of them fetches for all.
    const lease = undo.use(await this.#leases.create())
    const writing = undo.use(this.#daemon.writing({ ref: `windlass-${randomUUID()}`, digest, size }, lease.id))
    const held = undo.move()
    return {
      write: (chunk) => writing.write(chunk),
      commit: async () => {
        await writing.commit()
        await this.#holds.keep(layer, { content: digest })
      },
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    }
  }
}
