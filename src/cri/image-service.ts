/** The CRI ImageService over the puller and the store. What kubelet and crictl count on beyond the proto is said where it is done. */
import { fail } from '../failure/failure.ts'
import type { Collector } from '../gc/gc.ts'
import { removeImage } from '../gc/remove.ts'
import type { Log } from '../pull/log.ts'
import type { Puller } from '../pull/pull.ts'
import { parseReference } from '../reference/parse.ts'
import type { FilesystemUsage } from '../rpc/generated/runtime/v1/FilesystemUsage.ts'
import type { ImageFilter__Output } from '../rpc/generated/runtime/v1/ImageFilter.ts'
import type { ImageSpec__Output } from '../rpc/generated/runtime/v1/ImageSpec.ts'
import type { ImageHandlers, Service } from '../rpc/services.ts'
import { findImage } from '../store/lookup.ts'
import type { Store, StoredImage, Usage } from '../store/store.ts'
import { credentialsOf } from './auth.ts'
import { imageOf, verboseInfo } from './image.ts'
import { statusOf } from './status.ts'

export type ImageServiceParts = {
  readonly puller: Pick<Puller, 'pull'>
  readonly store: Pick<Store, 'find' | 'images' | 'layer' | 'remove' | 'untag' | 'usage'>
  readonly collector: Collector
  readonly log: Log
}

/** Images in one message of StreamImages: about 1 MiB, well below what any client takes. */
const batchSize = 3_000

/** The ImageService. */
export function createImageService(parts: ImageServiceParts): Service<ImageHandlers> {
  const { puller, store } = parts
  const handlers: ImageHandlers = {
    async pullImage({ image, auth }, { signal, traceparent }) {
      const reference = parseReference(nameIn(image))
      const credentials = credentialsOf(auth, reference)
      const pulled = await puller.pull(
        { reference, credentials, client: 'cri', ...(traceparent === undefined ? {} : { traceparent }) },
        { signal },
      )
      // kubelet 1.36 refuses the pod where this and Image.id differ.
      return { imageRef: pulled.image.id }
    },

    async listImages({ filter }) {
      return { images: (await select(store, filter)).map(imageOf) }
    },

    async *streamImages({ filter }) {
      const images = await select(store, filter)
      for (let from = 0; from < images.length; from += batchSize) {
        yield { images: images.slice(from, from + batchSize).map(imageOf) }
      }
    },

    async imageStatus({ image: spec, verbose }) {
      const image = (await findImage(store, nameIn(spec)))?.image
      // Not here is an answer, not an error: kubelet pulls on it.
      if (image === undefined) return {}
      return { image: imageOf(image), ...(verbose ? { info: { info: await verboseInfo(store, image) } } : {}) }
    },

    async removeImage({ image: spec }) {
      const image = (await findImage(store, nameIn(spec)))?.image
      // By whatever name it was found, the image goes with all its tags: so the proto says, and kubelet removes by id.
      if (image !== undefined) await removeImage(parts, { by: 'id', image }, 'cri')
      return {}
    },

    async imageFsInfo() {
      const usage = fsUsage(await store.usage())
      // Images and the containers' writable layers share the disk. kubelets beside CRI-O fail on an empty second list.
      return { imageFilesystems: [usage], containerFilesystems: [usage] }
    },
  }
  return { handlers, statusOf }
}

/** The name a request is about. Throws invalid-argument for a request about nothing, or about a runtime we do not have. */
function nameIn(spec: ImageSpec__Output | null): string {
  if (spec === null || spec.image === '') {
    fail({ kind: 'invalid-argument', what: 'image', reason: 'the request names no image' })
  }
  checkHandler(spec)
  return spec.image
}

function checkHandler({ runtimeHandler }: ImageSpec__Output): void {
  if (runtimeHandler === '') return
  const reason = 'images are pulled for the default runtime handler only'
  fail({ kind: 'invalid-argument', what: `runtime_handler ${JSON.stringify(runtimeHandler.slice(0, 100))}`, reason })
}

/** crictl always sends a filter, with an empty name for everything; kubelet sends none. */
async function select(store: ImageServiceParts['store'], filter: ImageFilter__Output | null): Promise<readonly StoredImage[]> {
  const spec = filter?.image ?? null
  if (spec === null) return await store.images()
  checkHandler(spec)
  if (spec.image === '') return await store.images()
  const found = await findImage(store, spec.image)
  return found === undefined ? [] : [found.image]
}

const fsUsage = ({ mountpoint, usedBytes, inodesUsed, measuredAt }: Usage): FilesystemUsage => ({
  timestamp: measuredAt.getTime() * 1_000_000,
  fsId: { mountpoint },
  usedBytes: { value: usedBytes },
  inodesUsed: { value: inodesUsed },
})
