/**
 * Images in a file or a directory, for nodes that no registry can be reached from: an OCI image layout (image-spec image-layout.md) or
 * what `docker save` and `podman save` write. `open.ts` opens one, `repository.ts` makes of one of its images what a registry would be to
 * a pull, so that everything a download goes through counts here too; `save.ts` writes one.
 *
 * An archive is hostile. It is read in place: an index of its members is made in one pass over the headers, nothing of it is ever written
 * under a name of its own, and what a member links to is looked for in the archive alone. A compressed one, or one from a pipe, is first
 * written to a file without a name (`spool.ts`), because there is no reading about in a stream.
 */
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/oci.ts'
import type { Abortable } from '../task/task.ts'

/** A document as it stands in the archive, or as it is made of what does. */
export type ArchivedDocument = { readonly descriptor: Descriptor; readonly bytes: Uint8Array }

/** What an image is made of, by digest; nothing in it has been compared with its digest. */
export interface Blobs {
  /** At most `length` bytes from `offset`, fewer at the end alone. Throws bad-archive where there is no such blob, system, cancelled. */
  read(digest: Digest, offset: number, length: number, options: Abortable): Promise<Uint8Array>
}

/** One image as a pull takes it. */
export type OpenedImage = { readonly root: ArchivedDocument; readonly blobs: Blobs }

export type ArchivedImage = {
  /** In normal form; none where the archive gives it none that names a repository. */
  readonly names: readonly string[]
  /** For messages about one without a name. */
  readonly label: string
  /** Reads the documents it begins with. Throws bad-archive, malformed, unsupported, system, cancelled. */
  open(options: Abortable): Promise<OpenedImage>
}

export interface Archive extends AsyncDisposable {
  /** What messages call it. */
  readonly name: string
  readonly format: 'oci' | 'docker'
  /** In the archive's order. */
  readonly images: readonly ArchivedImage[]
}

/** A file in an archive. */
export type ArchivedFile = {
  readonly size: number
  /** Fewer bytes than asked for at the end alone. */
  read(offset: number, length: number): Promise<Buffer>
}

/** An archive's files by their path in it, `/` between the parts. */
export interface Files extends AsyncDisposable {
  /** Undefined where there is none. Throws bad-archive where it cannot be told which one is meant, system. */
  find(path: string): Promise<ArchivedFile | undefined>
}
