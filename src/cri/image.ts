/** A stored image as CRI shows it. */
import { chainIds } from '../oci/digest.ts'
import type { Image } from '../rpc/generated/runtime/v1/Image.ts'
import { isPinned } from '../store/pins.ts'
import type { Store, StoredImage } from '../store/store.ts'

/** By the image as it is now: a change makes another of it. */
const shown = new WeakMap<StoredImage, Image>()

/** The image's entry in lists, the same until something changes. `size` counts compressed bytes, as containerd's does. */
export function imageOf(image: StoredImage): Image {
  const pinned = isPinned(image)
  const before = shown.get(image)
  // Pins end by the clock.
  if (before?.pinned === pinned) return before
  const entry = {
    id: image.id,
    repoTags: [...image.tags],
    repoDigests: [...image.digests],
    size: image.size,
    pinned,
    ...userOf(image.config.run.user ?? ''),
  }
  shown.set(image, entry)
  return entry
}

/**
 * The user of an image config (`user`, `user:group`, each a name or a number): a number is a uid, 0 included, anything else a name. A
 * number no kernel has as a uid stays a name: cut to 32 bits it could be root, and kubelet's runAsNonRoot refuses names it cannot judge.
 */
export function userOf(user: string): Pick<Image, 'uid' | 'username'> {
  const name = user.split(':', 1)[0] ?? ''
  if (name === '') return {}
  const uid = /^\d{1,10}$/.test(name) ? Number(name) : undefined
  return uid !== undefined && uid < 2 ** 31 ? { uid: { value: uid } } : { username: name }
}

/**
 * What `crictl inspecti` prints under "info". The first three keys are those containerd and CRI-O have; the rest is what a person asks
 * next: which manifest this is, what each layer weighs, packed and unpacked.
 */
export async function verboseInfo(store: Pick<Store, 'layer'>, image: StoredImage): Promise<string> {
  const { config, manifest, layers, layerIds } = image
  const stored = await Promise.all(layerIds.map((id) => store.layer(id)))
  return JSON.stringify({
    chainID: chainIds(config.diffIds).at(-1) ?? '',
    imageSpec: JSON.parse(Buffer.from(image.configBytes).toString('utf8')),
    labels: config.run.labels,
    manifest: { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.size },
    pulledAt: image.pulledAt.toISOString(),
    layers: layers.map((blob, i) => {
      const facts = stored[i]?.facts
      return {
        digest: blob.digest,
        mediaType: blob.mediaType,
        size: blob.size,
        diffID: config.diffIds[i],
        unpackedSize: facts?.diffSize,
        entries: facts?.entries,
        whiteouts: facts?.whiteouts,
      }
    }),
  })
}
