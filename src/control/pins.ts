/** `Pin` and `Unpin`. */
import { fail } from '../failure/failure.ts'
import { pinImage, unpinImage } from '../gc/pinning.ts'
import type { Log } from '../pull/log.ts'
import type { WindlassHandlers } from '../rpc/services.ts'
import type { ControlledNode } from './control-service.ts'
import { pinMessage } from './messages.ts'

type Pinning = Pick<ControlledNode, 'store' | 'showsPin'>

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
