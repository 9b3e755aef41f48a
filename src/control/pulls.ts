/** `Pull`, `Load` and `Plan`; `ListPulls` and `WatchPulls`. */
import type { Digest } from '../oci/digest.ts'
import type { Log } from '../pull/log.ts'
import type { Puller, PullStatus, Told } from '../pull/pull.ts'
import type { WindlassHandlers } from '../rpc/services.ts'
import { expiriesFor } from '../store/expiry.ts'
import type { Store } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import { loadFrom } from './load.ts'
import { createMailbox, slotOfProgress } from './mailbox.ts'
import { type ControlledRuntime, planMessage, pullMessage, toldMessage } from './messages.ts'
import { checkOurs } from './passthrough.ts'
import { pullRequest } from './requests.ts'

export type PullPath = {
  readonly puller: Pick<Puller, 'pull' | 'plan' | 'inFlight' | 'watch'>
  readonly store: Pick<Store, 'expiries'>
  /** Waits until the runtime knows the image, where the store itself has not. Throws runtime, cancelled. */
  readonly confirm?: (id: Digest, options: Abortable) => Promise<void>
}

/** `node` throws passthrough, or runtime-down, while there is no pull path. */
export function pullHandlers(
  node: () => PullPath,
  runtime: ControlledRuntime | undefined,
  log: Log,
): Pick<WindlassHandlers, 'pull' | 'load' | 'plan' | 'listPulls' | 'watchPulls'> {
  return {
    async *pull(request, { signal, traceparent }) {
      // A switch first: it is what the caller can do something about.
      checkOurs(runtime)
      const { puller, store, confirm } = node()
      const { expiresAfterMs: ms } = request
      const expiries = ms === 0 ? store.expiries : expiriesFor(store, ms)
      const events = createMailbox<Told>(({ event }) => slotOfProgress(event))
      const pull = async (): Promise<void> => {
        using ahead = ms === 0 ? undefined : await expiries?.begin()
        const bring = async (): Promise<boolean> => {
          const traced = traceparent === undefined ? {} : { traceparent }
          const { image } = await puller.pull(
            { ...pullRequest(request), ...traced },
            { signal, onEvent: (event, atMs) => events.put({ event, atMs }) },
          )
          await confirm?.(image.id, { signal })
          if (ahead === undefined) return (await expiries?.stays(image)) ?? true
          const expires = await ahead.give(image.id, new Date(Date.now() + ms))
          log.info({ image: image.id, expires }, 'pulled ahead')
          return expires !== 'gone'
        }
        // One whose time is over may go by itself while it is found here; the next look finds nothing of it.
        if (!(await bring())) await bring()
      }
      events.endWith(pull())
      for await (const told of events) yield toldMessage(told)
    },

    async *load(requests, { signal }) {
      checkOurs(runtime)
      const { puller, store, confirm } = node()
      yield* loadFrom(
        requests,
        async (request, options) => {
          const { image } = await puller.pull(request, options)
          await confirm?.(image.id, options)
          // Whoever loads an image means it to stay: a time that a pull gave it is taken back.
          await store.expiries?.stays(image)
        },
        { signal },
      )
    },

    async plan(request, { signal }) {
      return { plan: planMessage(await node().puller.plan(pullRequest(request), { signal })) }
    },

    async listPulls() {
      return { pulls: node().puller.inFlight().map(pullMessage) }
    },

    async *watchPulls(_request, { signal }) {
      const { puller } = node()
      const states = createMailbox<readonly PullStatus[]>(() => 'latest')
      states.put(puller.inFlight())
      puller.watch((pulls) => states.put(pulls), { signal })
      signal.addEventListener('abort', () => states.end(signal.reason), { once: true })
      for await (const pulls of states) yield { pulls: pulls.map(pullMessage) }
    },
  }
}
