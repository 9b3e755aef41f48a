/**
 * Small layers come before a worker is free for them, into memory. A worker that is held while one round trip goes by, layer for layer, makes
 * an image of many small layers as slow as the registry is far.
 */
import type { Descriptor } from '../oci/oci.ts'
import type { Repository, Trail, Transfer } from '../registry/registry.ts'
import { Limiter } from '../task/limiter.ts'
import type { Abortable, ByteSink } from '../task/task.ts'

/** A larger one keeps its worker busy for longer than the way to the registry takes. */
const SMALL = 256 * 1024
/** So many at once, over all pulls: 8 MiB. */
const PLACES = 32

/** A layer's bytes, until they are let go. */
export type EarlyBlob = Disposable & { readonly chunks: readonly Buffer[]; readonly transfer: Transfer; readonly ms: number }

export class EarlyBlobs {
  readonly #places = new Limiter(PLACES)

  isFor({ size }: Descriptor): boolean {
    return size <= SMALL
  }

  /** `arrived` is told of bytes as they come; a promise where the next must wait. Throws what `fetch` does. */
  async fetch(
    remote: Repository,
    blob: Descriptor,
    arrived: (bytes: number) => Promise<void> | undefined,
    { signal, trail, isPatient }: Abortable & { readonly trail: Trail; readonly isPatient: () => boolean },
  ): Promise<EarlyBlob> {
    using place = new DisposableStack()
    place.use(await this.#places.acquire({ signal }))
    const started = performance.now()
    const chunks: Buffer[] = []
    const sink: ByteSink = {
      write: (chunk) => {
        chunks.push(Buffer.from(chunk))
        return arrived(chunk.length)
      },
    }
    const transfer = await remote.fetch(blob, sink, { signal, trail, isPatient })
    const held = place.move()
    return { chunks, transfer, ms: performance.now() - started, [Symbol.dispose]: () => held.dispose() }
  }
}
