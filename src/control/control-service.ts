/** The control service: what CRI has no call for, over the same puller and store. */
import { fail } from '../failure/failure.ts'
import type { Collector } from '../gc/gc.ts'
import type { Platform } from '../oci/oci.ts'
import { formatPlatform, parsePlatform } from '../platform/platform.ts'
import type { PullEvent, Puller, PullRequest, PullStatus } from '../pull/pull.ts'
import { parseReference } from '../reference/parse.ts'
import type { Credentials } from '../registry/registry.ts'
import type { Credentials__Output } from '../rpc/generated/windlass/v1/Credentials.ts'
import type { PullRequest__Output } from '../rpc/generated/windlass/v1/PullRequest.ts'
import type { RemoveImageResponse } from '../rpc/generated/windlass/v1/RemoveImageResponse.ts'
import type { Service, WindlassHandlers } from '../rpc/services.ts'
import { type FoundImage, findImage } from '../store/lookup.ts'
import type { Store } from '../store/store.ts'
import { createMailbox } from './mailbox.ts'
import { eventMessage, imageMessage, planMessage, pullMessage } from './messages.ts'
import { statusOf } from './status.ts'

export type ControlServiceParts = {
  readonly puller: Pick<Puller, 'pull' | 'plan' | 'inFlight' | 'watch'>
  readonly store: Pick<Store, 'root' | 'overlayDir' | 'find' | 'layer' | 'remove' | 'untag'>
  readonly collector: Collector
  /** The node's own. */
  readonly platform: Platform
  readonly version: string
}

/** The windlass.v1 service. */
export function createControlService(parts: ControlServiceParts): Service<WindlassHandlers> {
  const { puller, store, platform, version } = parts
  const handlers: WindlassHandlers = {
    async *pull(request, { signal }) {
      // Of a layer's progress only the latest counts; everything else comes a fixed number of times for each layer.
      const events = createMailbox<PullEvent>((event) => (event.type === 'progress' ? `${event.layer}` : undefined))
      puller.pull(pullRequest(request), { signal, onEvent: (event) => events.put(event) }).then(
        () => events.end(),
        (error: unknown) => events.end(error),
      )
      for await (const event of events) yield eventMessage(event)
    },

    async plan(request, { signal }) {
      return { plan: planMessage(await puller.plan(pullRequest(request), { signal })) }
    },

    async listPulls() {
      return { pulls: puller.inFlight().map(pullMessage) }
    },

    async *watchPulls(_request, { signal }) {
      const states = createMailbox<readonly PullStatus[]>(() => 'latest')
      states.put(puller.inFlight())
      puller.watch((pulls) => states.put(pulls), { signal })
      signal.addEventListener('abort', () => states.end(signal.reason), { once: true })
      for await (const pulls of states) yield { pulls: pulls.map(pullMessage) }
    },

    async inspectImage({ image: name }) {
      const found = findImage(store, name)
      if (found === undefined) return fail({ kind: 'image-unknown', reference: name })
      return imageMessage(store, found.image)
    },

    async removeImage({ image: name }) {
      const found = findImage(store, name)
      return found === undefined ? {} : remove(parts, found)
    },

    async info() {
      return { version, nodeVersion: process.version, root: store.root, pid: process.pid, platform: formatPlatform(platform) }
    },
  }
  return { handlers, statusOf }
}

/** One tag goes alone, and takes the image along when it was the last; an id or digest names the image with all its tags. */
async function remove({ store, collector }: ControlServiceParts, found: FoundImage): Promise<RemoveImageResponse> {
  const { image } = found
  const done = found.by === 'tag' ? await store.untag(found.tag) : await store.remove(image.id)
  if (!done) return {}
  const collected = await collector.collect()
  return {
    imageId: image.id,
    untagged: found.by === 'tag' ? [found.tag] : [...image.tags],
    imageRemoved: store.find(image.id) === undefined,
    layersRemoved: collected.layers,
    bytesFreed: collected.bytes,
  }
}

/** Throws invalid-reference, invalid-argument. */
const pullRequest = ({ reference, credentials, platform }: PullRequest__Output): PullRequest => ({
  reference: parseReference(reference),
  credentials: credentialsOf(credentials),
  client: 'control',
  ...(platform === '' ? {} : { platform: parsePlatform(platform) }),
})

function credentialsOf(given: Credentials__Output | null): Credentials {
  if (given === null) return { kind: 'anonymous' }
  if (given.registryToken !== '') return { kind: 'registry-token', token: given.registryToken }
  if (given.identityToken !== '') return { kind: 'identity-token', token: given.identityToken }
  return given.username === '' ? { kind: 'anonymous' } : { kind: 'basic', username: given.username, password: given.password }
}
