/** `Pin` and `Unpin`. */
import { fail } from '../failure/failure.ts'
import { pinImage, unpinImage } from '../gc/pinning.ts'
import type { Digest } from '../oci/digest.ts'
import type { Log } from '../pull/log.ts'
import type { WindlassHandlers } from '../rpc/services.ts'
import type { Abortable } from '../task/task.ts'
import { pinMessage } from './messages.ts'

/** Whether kubelet hears of a pin that was set a moment ago. Throws runtime, cancelled. */
export type ShowsPin = (id: Digest, options: Abortable & { readonly isNew: true }) => Promise<boolean>

/** `showsPin` is absent where the store answers kubelet itself. */
type Pinning = { readonly store: Parameters<typeof pinImage>[0] & Parameters<typeof unpinImage>[0]; readonly showsPin?: ShowsPin }

export function pinHandlers(node: () => Pinning, log: Log): Pick<WindlassHandlers, 'pin' | 'unpin'> {
  return {
    async pin({ image, owner, reason, ttlMs }, { signal }) {
      const { store, showsPin } = node()
      const wish = { owner, reason, ...(ttlMs === 0 ? {} : { ttlMs }) }
      const { imageId, pins } = await pinImage(store, image, wish)
      if ((await showsPin?.(imageId, { signal, isNew: true })) === false) {
        await unpinImage(store, image, owner)
        fail({
          kind: 'invalid-argument',
          what: 'pin',
          reason: 'this runtime does not show pins to kubelet, which would remove it all the same; containerd does since 1.7',
        })
      }
      log.info({ image: imageId, pins }, 'pinned')
      return { imageId, pins: pins.map(pinMessage) }
    },

    async unpin({ image, owner }) {
      const { imageId, pins, left } = await unpinImage(node().store, image, owner === '' ? undefined : owner)
      log.info({ image: imageId, pins }, 'unpinned')
      return { imageId, pins: pins.map(pinMessage), left: left.map(pinMessage) }
    },
  }
}
