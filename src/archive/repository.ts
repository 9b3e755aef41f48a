/** One image of an archive as a pull wants it: what a registry would be. */
import { fail } from '../failure/failure.ts'
import { sha256 } from '../oci/digest.ts'
import type { Descriptor } from '../oci/oci.ts'
import { formatReference } from '../reference/parse.ts'
import type { Reference } from '../reference/reference.ts'
import type { Document, Repository } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'
import type { OpenedImage } from './archive.ts'
import { MAX_DOCUMENT } from './read-document.ts'

const PIECE = 1024 * 1024

/** `host` is what messages and reports call the archive. What is read is compared with its digests here, and by whoever unpacks it. */
export function repositoryOf({ root, blobs }: OpenedImage, reference: Reference, host: string): Repository {
  const checked = (what: 'manifest' | 'config', descriptor: Descriptor, bytes: Uint8Array): Document => {
    const { digest, size } = descriptor
    if (bytes.length !== size) fail({ kind: 'size-mismatch', digest, want: size, got: bytes.length, from: host })
    const got = sha256(bytes)
    if (got !== digest) fail({ kind: 'digest-mismatch', what, want: digest, got, from: host })
    return { descriptor, bytes, host }
  }
  const read = async (what: 'manifest' | 'config', descriptor: Descriptor, options: Abortable): Promise<Document> => {
    if (descriptor.size > MAX_DOCUMENT)
      fail({ kind: 'malformed', what, from: host, reason: `more than ${MAX_DOCUMENT} bytes, the most a ${what} may have` })
    return checked(what, descriptor, await blobs.read(descriptor.digest, 0, descriptor.size, options))
  }
  return {
    resolvedBy: host,
    tokenMs: 0,
    resolve: async () => {
      if (reference.digest !== undefined && reference.digest !== root.descriptor.digest) {
        const tried = [{ host, result: `holds ${root.descriptor.digest}` }]
        fail({ kind: 'manifest-unknown', reference: formatReference(reference), tried })
      }
      return checked('manifest', root.descriptor, root.bytes)
    },
    // Who has the bytes may read them.
    confirm: async () => {},
    manifest: (descriptor, options) => read('manifest', descriptor, options),
    blob: (descriptor, options) => read('config', descriptor, options),
    fetch: async ({ digest, size }, sink, { signal, from, trail }) => {
      const started = performance.now()
      let offset = from?.offset ?? 0
      let firstByteMs: number | undefined
      if (trail !== undefined) trail.attempts++
      const wanted = (): number => Math.min(PIECE, size - offset)
      const next = (): Promise<Uint8Array> => blobs.read(digest, offset, wanted(), { signal })
      let coming = offset < size ? next() : undefined
      while (coming !== undefined) {
        const piece = await coming
        firstByteMs ??= performance.now() - started
        trail?.hosts.add(host)
        // Less comes at the end alone: who gives a byte at a time would keep those waiting who want the same layer.
        if (piece.length < wanted()) fail({ kind: 'size-mismatch', digest, want: size, got: offset + piece.length, from: host })
        offset += piece.length
        // The next piece is on its way while this one is unpacked.
        coming = offset < size ? next() : undefined
        coming?.catch(() => {})
        const full = sink.write(piece)
        if (full !== undefined) await full
      }
      return { host, bytes: size - (from?.offset ?? 0), attempts: 1, firstByteMs: firstByteMs ?? 0 }
    },
  }
}
