/**
 * Image references as people type them, in one normal form. See `parseReference`.
 */
import type { Digest } from '../oci/digest.ts'

/**
 * Where an image is named. `registry` is the host people write (docker.io, never registry-1.docker.io); exactly one of `tag` and
 * `digest` is set: of `name:tag@digest` the tag is dropped, as containerd's CRI does.
 */
export type Reference = {
  readonly registry: string
  readonly repository: string
  readonly tag?: string
  readonly digest?: Digest
}
