/** The control service: what CRI has no call for, over the same puller and store. */
import { fail } from '../failure/failure.ts'
import type { Collector } from '../gc/gc.ts'
import type { Housekeeper } from '../gc/housekeeper.ts'
import { removeImage } from '../gc/remove.ts'
import { why } from '../gc/why.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/oci.ts'
import { formatPlatform, parsePlatform } from '../platform/platform.ts'
import { wantedPlatform } from '../platform/wanted.ts'
import { loginFor, pullAgain } from '../pull/again.ts'
import type { History } from '../pull/history.ts'
import type { Log } from '../pull/log.ts'
import type { Looker, LookRequest } from '../pull/look.ts'
import type { PullEvent, Puller, PullRequest, PullStatus } from '../pull/pull.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import { type SentCredentials, sentCredentials } from '../registry/credentials.ts'
import type { Credentials } from '../registry/registry.ts'
import type { PlanRequest__Output } from '../rpc/generated/windlass/v1/PlanRequest.ts'
import type { Service, WindlassHandlers } from '../rpc/services.ts'
import { obstacleFor } from '../runtime/obstacle.ts'
import { SWITCHED_BY_HAND, waysOut } from '../runtime/passthrough.ts'
import { imageDetail } from '../store/detail.ts'
import { expiriesFor } from '../store/expiry.ts'
import { holdImage } from '../store/held.ts'
import { findImage } from '../store/lookup.ts'
import type { Store } from '../store/store.ts'
import { unlessAborted } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import { damagedLayers } from '../verify/damaged.ts'
import type { LayerVerifier, VerifyEvent } from '../verify/verify.ts'
import { diskOf } from './disk.ts'
import { loadFrom } from './load.ts'
import { createMailbox } from './mailbox.ts'
import {
  type ControlledRuntime,
  detailMessage,
  eventMessage,
  heldMessage,
  lookedUpMessage,
  offerMessage,
  passthroughMessage,
  planMessage,
  pullMessage,
  removalMessage,
  reportMessage,
  runtimeMessages,
  sweptMessage,
} from './messages.ts'
import { pinHandlers, type ShowsPin } from './pins.ts'
import { type ControlledLists, queueHandlers } from './queue.ts'
import { hasNoStore, statusOf } from './status.ts'
import { damagedMessage, verifyMessage } from './verify-messages.ts'

/** The pull path. */
export type ControlledNode = {
  readonly puller: Pick<Puller, 'pull' | 'plan' | 'check' | 'inFlight' | 'watch' | 'staleTags'>
  readonly looker: Looker
  readonly history: Pick<History, 'list'>
  readonly store: Pick<
    Store,
    | 'overlayDir'
    | 'find'
    | 'images'
    | 'layer'
    | 'lease'
    | 'remove'
    | 'untag'
    | 'pin'
    | 'unpin'
    | 'expiries'
    | 'holdings'
    | 'health'
    | 'receipts'
    | 'usage'
  >
  readonly collector: Collector
  readonly housekeeper: Pick<Housekeeper, 'sweep'>
  readonly verifier: LayerVerifier
  /** Absent where the store answers kubelet itself. */
  readonly showsPin?: ShowsPin
  /** Waits until the runtime knows the image, where the store itself has not. Throws runtime, cancelled. */
  readonly confirm?: (id: Digest, options: Abortable) => Promise<void>
}

export type ControlServiceParts = {
  /** Throws passthrough, or runtime-down, while there is no pull path. */
  readonly node: () => ControlledNode
  readonly runtime?: ControlledRuntime
  /** Absent where no directory of lists is configured. */
  readonly lists?: ControlledLists
  readonly log: Log
  readonly root: string
  /** The node's own. */
  readonly platform: Platform
  readonly version: string
}

/** The windlass.v1 service. */
export function createControlService(parts: ControlServiceParts): Service<WindlassHandlers> {
  const { node, runtime, platform, version, root, log } = parts
  const handlers: WindlassHandlers = {
    async *pull(request, { signal, traceparent }) {
      // A switch first: it is what the caller can do something about.
      if (runtime !== undefined) checkOurs(runtime)
      const { puller, store, confirm } = node()
      const { expiresAfterMs: ms } = request
      const expiries = ms === 0 ? store.expiries : expiriesFor(store, ms)
      // Of a layer's progress only the latest counts; everything else comes a fixed number of times for each layer.
      const events = createMailbox<PullEvent>((event) => (event.type === 'progress' ? `${event.layer}` : undefined))
      const pull = async (): Promise<void> => {
        using ahead = ms === 0 ? undefined : await expiries?.begin()
        const bring = async (): Promise<boolean> => {
          const traced = traceparent === undefined ? {} : { traceparent }
          const { image } = await puller.pull(
            { ...pullRequest(request), ...traced },
            { signal, onEvent: (event) => events.put(event) },
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
      pull().then(
        () => events.end(),
        (error: unknown) => events.end(error),
      )
      for await (const event of events) yield eventMessage(event)
    },

    async *load(requests, { signal }) {
      if (runtime !== undefined) checkOurs(runtime)
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

    async *hold({ image }, { signal }) {
      await using held = await holdImage(node().store, image)
      const { id, tags, config, layers } = held
      yield { id, tags: [...tags], config: Buffer.from(config), layers: [...layers] }
      // Leaving is how it ends.
      await unlessAborted(new Promise<never>(() => {}), signal)
    },

    async plan(request, { signal }) {
      return { plan: planMessage(await node().puller.plan(pullRequest(request), { signal })) }
    },

    async lookUp({ name, credentials, local, image, platform }, { signal }) {
      const one = image ? { image: platform === '' ? {} : { platform: parsePlatform(platform) } } : {}
      return lookedUpMessage(await node().looker.lookUp({ ...lookRequest(name, credentials, local), ...one }, { signal }))
    },

    async listPlatforms({ name, credentials, local }, { signal }) {
      return offerMessage(await node().looker.platforms(lookRequest(name, credentials, local), { signal }))
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

    ...queueHandlers(() => node().puller, parts.lists),

    async listHistory({ reference, id, limit }) {
      const asked = {
        limit,
        ...(reference === '' ? {} : { reference: formatReference(parseReference(reference)) }),
        ...(id === '' ? {} : { id }),
      }
      return { reports: (await node().history.list(asked)).map(reportMessage) }
    },

    async inspectImage({ image: name }) {
      const { store } = node()
      const found = await findImage(store, name)
      if (found === undefined) return fail({ kind: 'image-unknown', names: [name] })
      return detailMessage(await imageDetail(store, found.image))
    },

    async removeImage({ image: name }) {
      const { store, collector } = node()
      const found = await findImage(store, name)
      const removal = found === undefined ? undefined : await removeImage({ store, collector, log }, found, 'control')
      return removal === undefined ? {} : removalMessage(removal)
    },

    ...pinHandlers(node, log),

    async collect({ dryRun, freeBytes }) {
      return sweptMessage(await node().housekeeper.sweep({ dryRun, ...(freeBytes === 0 ? {} : { freeBytes }) }))
    },

    async *verify({ images, repair, credentials }, { signal }) {
      if (repair && runtime !== undefined) checkOurs(runtime)
      const { puller, store, verifier } = node()
      const login = await loginFor(store, images, credentialsIn(credentials))
      const again = repair ? { repair: pullAgain(puller, 'control', login) } : {}
      const events = createMailbox<VerifyEvent>((event) => (event.type === 'progress' ? `${event.layer}` : undefined))
      verifier.verify({ images, ...again }, { signal, onEvent: (event) => events.put(event) }).then(
        () => events.end(),
        (error: unknown) => events.end(error),
      )
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

    async listStale() {
      try {
        const tags = node().puller.staleTags()
        return { tags: tags.map(({ since, ...tag }) => ({ ...tag, sinceMs: since.getTime() })) }
      } catch (error) {
        if (hasNoStore(error)) return {}
        throw error
      }
    },

    async why({ name }) {
      return { things: (await why(node().store, name)).map(heldMessage) }
    },

    async info(_request, { signal }) {
      const own = { version, nodeVersion: process.version, root, pid: process.pid, platform: formatPlatform(platform) }
      const disk = await diskOf(node, log)
      return runtime === undefined ? { ...own, ...disk } : { ...own, ...disk, ...(await runtimeMessages(runtime, { signal })) }
    },

    async setPassthrough({ on, reason }) {
      if (runtime === undefined) {
        const reason =
          'this daemon has a store of its own and no runtime to hand calls to; one beside a runtime, windlass serve --runtime containerd or crio, has'
        return fail({ kind: 'invalid-argument', what: `argument "${on ? 'on' : 'off'}"`, reason })
      }
      const { passthrough } = runtime
      const said = reason === '' ? SWITCHED_BY_HAND : reason
      if (!passthrough.set(on, said)) {
        const state = passthrough.state()
        return fail({ kind: 'passthrough', reason: `${state.on ? state.reason : 'for good'}; ${waysOut(passthrough)}` })
      }
      return { passthrough: passthroughMessage(passthrough.state()) }
    },
  }
  return { handlers, statusOf }
}

/** Throws passthrough: what lands in a runtime must not go past a switch, or past what the runtime would ask before it pulls. */
function checkOurs({ passthrough, facts }: ControlledRuntime): void {
  const state = passthrough.state()
  if (state.on) fail({ kind: 'passthrough', reason: `${state.reason}; ${waysOut(passthrough)}` })
  const said = facts()
  const obstacle = said === undefined ? undefined : obstacleFor(said, '')
  if (obstacle !== undefined) fail({ kind: 'passthrough', reason: obstacle.text })
}

/** Throws invalid-reference, invalid-argument. */
const pullRequest = ({ reference, credentials, platform }: PlanRequest__Output): PullRequest => ({
  reference: parseReference(reference),
  credentials: credentialsIn(credentials),
  client: 'control',
  ...(platform === '' ? {} : { platform: wantedPlatform(platform) }),
})

const lookRequest = (name: string, credentials: SentCredentials | null, local: boolean): LookRequest => ({
  name,
  credentials: credentialsIn(credentials),
  local,
})

/** Throws invalid-argument. */
const credentialsIn = (sent: SentCredentials | null): Credentials =>
  sent === null ? { kind: 'anonymous' } : sentCredentials(sent)
