/** Documents out of containerd's content store. */
import { type Failure, fail } from '../../failure/failure.ts'
import { sha256 } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/oci.ts'
import type { Daemon } from './daemon.ts'

/** Manifest and config limits of the registry client. */
const MAX_DOCUMENT = 4 * 2 ** 20

/** Throws runtime, digest-mismatch: `isUnreadable` where it is not here as it should be. */
export async function readDocument(daemon: Daemon, { digest, size }: Pick<Descriptor, 'digest' | 'size'>): Promise<Uint8Array> {
  const chunks = await daemon.call('read a document', async ({ content }, options) => {
    const read: Buffer[] = []
    const request = { digest, offset: 0, size: Math.min(size, MAX_DOCUMENT) }
    for await (const { data } of content.read(request, options)) read.push(data)
    return read
  })
  const bytes = Uint8Array.from(Buffer.concat(chunks))
  const got = sha256(bytes)
  return got === digest ? bytes : fail({ kind: 'digest-mismatch', what: 'manifest', want: digest, got, from: 'containerd' })
}

/** Content that is gone or damaged, or that is nothing we pull. */
export const isUnreadable = (failure: Failure): boolean =>
  failure.kind === 'malformed' ||
  failure.kind === 'unsupported' ||
  failure.kind === 'digest-mismatch' ||
  failure.kind === 'size-mismatch' ||
  (failure.kind === 'runtime' && (failure.code === 'NOT_FOUND' || failure.code === 'OUT_OF_RANGE'))
