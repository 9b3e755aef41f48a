/** The control service: what CRI has no call for, over the same puller and store. */
import { fail } from '../failure/failure.ts'
import type { Collector } from '../gc/gc.ts'
import type { Housekeeper } from '../gc/housekeeper.ts'
import { removeImage } from '../gc/remove.ts'
import { why } from '../gc/why.ts'
import type { Platform } from '../oci/oci.ts'
import { formatPlatform, parsePlatform } from '../platform/platform.ts'
import type { History } from '../pull/history.ts'
import type { Log } from '../pull/log.ts'
import type { Looker } from '../pull/look.ts'
import type { Puller } from '../pull/pull.ts'
import type { Service, WindlassHandlers } from '../rpc/services.ts'
import { imageDetail } from '../store/detail.ts'
import { holdImage } from '../store/held.ts'
import { findImage } from '../store/lookup.ts'
import type { Store } from '../store/store.ts'
import { unlessAborted } from '../task/flights.ts'
import { diskOf } from './disk.ts'
import {
  type ControlledRuntime,
  detailMessage,
  heldMessage,
  lookedUpMessage,
  offerMessage,
  removalMessage,
  reportMessage,
  runtimeMessages,
  sweptMessage,
} from './messages.ts'
import { passthroughHandlers } from './passthrough.ts'
import { pinHandlers, type ShowsPin } from './pins.ts'
import { type PullPath, pullHandlers } from './pulls.ts'
import { type ControlledLists, queueHandlers } from './queue.ts'
import { lookRequest } from './requests.ts'
import { hasNoStore, statusOf } from './status.ts'
import { type VerifyPath, verifyHandlers } from './verify.ts'

/** The pull path. */
export type ControlledNode = PullPath &
  VerifyPath & {
    readonly puller: Pick<Puller, 'staleTags'>
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
      | 'holdings'
      | 'health'
      | 'receipts'
      | 'usage'
    >
    readonly collector: Collector
    readonly housekeeper: Pick<Housekeeper, 'sweep'>
    /** Absent where the store answers kubelet itself. */
    readonly showsPin?: ShowsPin
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
    ...pullHandlers(node, runtime, log),

    async *hold({ image }, { signal }) {
      await using held = await holdImage(node().store, image)
      const { id, tags, config, layers } = held
      yield { id, tags: [...tags], config: Buffer.from(config), layers: [...layers] }
      // Leaving is how it ends.
      await unlessAborted(new Promise<never>(() => {}), signal)
    },

    async lookUp({ name, credentials, local, image, platform }, { signal }) {
      const one = image ? { image: platform === '' ? {} : { platform: parsePlatform(platform) } } : {}
      return lookedUpMessage(await node().looker.lookUp({ ...lookRequest(name, credentials, local), ...one }, { signal }))
    },

    async listPlatforms({ name, credentials, local }, { signal }) {
      return offerMessage(await node().looker.platforms(lookRequest(name, credentials, local), { signal }))
    },

    ...queueHandlers(() => node().puller, parts.lists),

    async listHistory({ reference, id, limit }) {
      const asked = {
        limit,
        ...(reference === '' ? {} : { reference }),
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

    ...verifyHandlers(node, runtime),

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

    ...passthroughHandlers(runtime),
  }
  return { handlers, statusOf }
}
