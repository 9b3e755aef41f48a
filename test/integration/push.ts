/** Pushes the images of test/support to a real registry. */

import { type PushTarget, pushBlob, pushManifest } from '../registry/docker-registry.ts'
import type { BuiltImage, BuiltIndex } from '../support/image.ts'

/** Everything an image or index leads to, then itself under `tag`. */
export async function push(target: PushTarget, tag: string, what: BuiltImage | BuiltIndex): Promise<void> {
  for (const image of 'images' in what ? what.images : [what]) {
    for (const { blob } of image.layers) await pushBlob(target, blob)
    await pushBlob(target, image.config)
    await pushManifest(target, image.descriptor.digest, image.bytes, image.descriptor.mediaType)
  }
  await pushManifest(target, tag, what.bytes, what.descriptor.mediaType)
}
