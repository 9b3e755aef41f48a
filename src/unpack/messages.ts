/** What the pool and its workers say to each other. Bytes go through the ring, not through messages. */
import type { Failure } from '../failure/failure.ts'
import type { DiffId, Digest } from '../oci/digest.ts'
import type { RingMemory } from './ring.ts'
import type { UnpackedLayer, UnpackLimits } from './unpack.ts'

export type WorkerStart = { readonly ring: RingMemory; readonly limits: UnpackLimits }

/** A job as a worker takes it: descriptors are the process's, so they travel as numbers. */
export type WorkerJob = {
  readonly dir: string
  readonly diffId: DiffId
  readonly source:
    | { readonly kind: 'blob'; readonly digest: Digest; readonly size: number; readonly host: string }
    | { readonly kind: 'local'; readonly diffFd: number; readonly splitFd: number; readonly path: string }
}

export type WorkerAnswer =
  | { readonly ok: true; readonly layer: UnpackedLayer }
  | { readonly ok: false; readonly failure: Failure; readonly stack: string | undefined }
