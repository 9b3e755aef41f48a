/** `Verify` and `ListDamaged`. */
import { loginFor, pullAgain } from '../pull/again.ts'
import type { Puller } from '../pull/pull.ts'
import type { WindlassHandlers } from '../rpc/services.ts'
import type { Store } from '../store/store.ts'
import { damagedLayers } from '../verify/damaged.ts'
import type { LayerVerifier, VerifyEvent } from '../verify/verify.ts'
import { createMailbox, slotOfProgress } from './mailbox.ts'
import type { ControlledRuntime } from './messages.ts'
import { checkOurs } from './passthrough.ts'
import { credentialsIn } from './requests.ts'
import { hasNoStore } from './status.ts'
import { damagedMessage, verifyMessage } from './verify-messages.ts'

export type VerifyPath = {
  readonly puller: Pick<Puller, 'pull' | 'check'>
  readonly store: Pick<Store, 'find' | 'images' | 'health'>
  readonly verifier: LayerVerifier
}

/** `node` throws passthrough, or runtime-down, while there is no store. */
export function verifyHandlers(
  node: () => VerifyPath,
  runtime: ControlledRuntime | undefined,
): Pick<WindlassHandlers, 'verify' | 'listDamaged'> {
  return {
    async *verify({ images, repair, credentials }, { signal }) {
      if (repair) checkOurs(runtime)
      const { puller, store, verifier } = node()
      const login = await loginFor(store, images, credentialsIn(credentials))
      const again = repair ? { repair: pullAgain(puller, 'control', login) } : {}
      const events = createMailbox<VerifyEvent>(slotOfProgress)
      events.endWith(verifier.verify({ images, ...again }, { signal, onEvent: (event) => events.put(event) }))
      for await (const event of events) yield verifyMessage(event)
    },

    async listDamaged() {
      try {
        return { layers: (await damagedLayers(node().store)).map(damagedMessage) }
      } catch (error) {
        // While there is no store, nothing in it is known to be damaged; lists of images are made all the same.
        if (hasNoStore(error)) return {}
        throw error
      }
    },
  }
}
