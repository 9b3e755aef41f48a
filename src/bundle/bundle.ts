/**
 * From an image to something runc starts: an OCI runtime bundle (runtime-spec 1.0, bundle.md). The directory gets
 *
 *     config.json     made from the image's config (image-spec conversion.md)
 *     rootfs/         the layers as an overlay mount, writable
 *     upper/ work/    where writes to rootfs go
 *     windlass.json   which image this is; marks the directory as ours to take apart
 *
 * The mount is made by the calling process, in its mount namespace. The image's layers are used in place, not copied. `write.ts` makes
 * a bundle, `remove.ts` takes it apart.
 */
import type { ImageConfig } from '../oci/oci.ts'

export type BundleRequest = {
  /** Must not exist, or be empty. */
  readonly dir: string
  readonly image: {
    /** As it was asked for; kept for people. */
    readonly reference: string
    readonly id: string
    readonly config: ImageConfig
    /** The directory `lower` is relative to; lower directories topmost first. */
    readonly overlayDir: string
    readonly lower: readonly string[]
  }
  /** Replaces the image's Cmd, and leaves its Entrypoint, as `args` of a pod does. */
  readonly args: readonly string[]
  /** `none`: a network namespace of its own with loopback alone. `host`: the host's, with its resolv.conf and hosts. */
  readonly network: 'none' | 'host'
}

export type Bundle = {
  readonly dir: string
  readonly rootfs: string
  readonly args: readonly string[]
  /** What of the image's config could not be taken over as it stands. */
  readonly warnings: readonly string[]
}
