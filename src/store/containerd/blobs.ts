/** Layers' blobs into containerd's content store while they stream by. */
import { randomUUID } from 'node:crypto'
import type { LayerId } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/oci.ts'
import { unlessAborted } from '../../task/flights.ts'
import type { Abortable } from '../../task/task.ts'
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

  async keep({ digest, size }: Descriptor, layer: LayerId, { signal }: Abortable): Promise<KeptBlob | undefined> {
    const hold = (): Promise<void> => unlessAborted(this.#holds.keep(layer, { content: digest }), signal)
    // Held first, so that what is found is not collected the next moment.
    await hold()
    const there = this.#daemon.callUnless('NOT_FOUND', 'look for a blob', ({ content }, options) =>
      content.info({ digest }, options),
    )
    if ((await unlessAborted(there, signal)) !== undefined) return undefined
    await using undo = new AsyncDisposableStack()
    // Of its own: pulls come and go while one of them fetches for all.
    const lease = undo.use(await this.#leases.create(signal))
    const writing = undo.use(this.#daemon.writing({ ref: `windlass-${randomUUID()}`, digest, size }, lease.id, { signal }))
    const held = undo.move()
    return {
      write: (chunk) => writing.write(chunk),
      commit: async () => {
        await writing.commit()
        await hold()
      },
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    }
  }
}
