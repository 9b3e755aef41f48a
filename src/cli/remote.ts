/** The backend behind a socket: the daemon's control service, and CRI for the list of images. Loads gRPC. */

import { fail } from '../failure/failure.ts'
import { parseDigest } from '../oci/digest.ts'
import { parseConfig } from '../oci/parse.ts'
import type { Credentials } from '../registry/registry.ts'
import { type Connection, connect } from '../rpc/client.ts'
import { RpcError } from '../rpc/status.ts'
import type { ImageDetail } from '../store/detail.ts'
import type { HeldImage } from '../store/held.ts'
import type { Abortable } from '../task/task.ts'
import type { Ask, Backend } from './backend.ts'
import { load } from './load-call.ts'
import { queueOf } from './queue-wire.ts'
import { damagedOf, verifyEventOf } from './verify-wire.ts'
import {
  collectionOf,
  descriptorOf,
  eventOf,
  heldOf,
  infoOf,
  layerOf,
  lookedUpOf,
  offerOf,
  pinnedOf,
  pinOf,
  planOf,
  pullReportOf,
  receiptOf,
  removalOf,
  statusOf,
  unpinnedOf,
} from './wire.ts'

/** Throws no-daemon where nobody answers. */
export async function connectBackend(socket: string, options: Abortable): Promise<Backend> {
  const daemon = await connect(socket, options)
  return {
    pull: async (ask, { signal, onEvent }) => {
      const asked = performance.now()
      let imageId: string | undefined
      for await (const message of daemon.windlass.pull(
        { ...requestOf(ask), expiresAfterMs: ask.expiresAfterMs ?? 0 },
        { signal },
      )) {
        const event = eventOf(message)
        if (event?.type === 'done') imageId = event.imageId
        // A daemon from before this was told says 0.
        if (event !== undefined) onEvent(event, message.atMs || performance.now() - asked)
      }
      return imageId ?? fail({ kind: 'internal', what: 'the daemon ended the pull without a result' })
    },
    load: (ask, options) => load(daemon.windlass, ask, options),
    plan: async (ask, { signal }) => {
      const { plan } = await daemon.windlass.plan(requestOf(ask), { signal })
      return plan === null ? fail({ kind: 'internal', what: 'the daemon sent no plan' }) : planOf(plan)
    },
    lookUp: async ({ name, credentials, local, image, platform = '' }, { signal }) =>
      lookedUpOf(await daemon.windlass.lookUp({ name, ...loginOf(credentials), local, image, platform }, { signal })),
    platforms: async ({ name, credentials, local }, { signal }) =>
      offerOf(await daemon.windlass.listPlatforms({ name, ...loginOf(credentials), local }, { signal })),
    pulls: async ({ signal }) => (await daemon.windlass.listPulls({}, { signal })).pulls.map(statusOf),
    watchPulls: (onChange, { signal }) =>
      watch(daemon.windlass.watchPulls({}, { signal }), ({ pulls }) => onChange(pulls.map(statusOf)), { signal }),
    queue: async ({ signal }) => queueOf(await daemon.windlass.listQueue({}, { signal })),
    watchQueue: (onChange, { signal }) =>
      watch(daemon.windlass.watchQueue({}, { signal }), (queue) => onChange(queueOf(queue)), { signal }),
    history: async ({ reference = '', id = '', limit }, { signal }) =>
      (await daemon.windlass.listHistory({ reference, id, limit }, { signal })).reports.map(pullReportOf),
    images: async ({ signal }) => {
      const { images } = await daemon.image.listImages({}, { signal })
      return images.map(({ id, repoTags, repoDigests, size, pinned }) => ({
        id,
        tags: repoTags,
        digests: repoDigests,
        size,
        pinned,
      }))
    },
    inspect: (name, { signal }) => inspect(daemon, name, { signal }),
    hold: (name, options) => hold(daemon, name, options),
    remove: async (name, { signal }) => {
      const removal = await daemon.windlass.removeImage({ image: name }, { signal })
      return removal.imageId === '' ? fail({ kind: 'image-unknown', names: [name] }) : removalOf(removal)
    },
    pin: async (name, { owner, reason, ttlMs = 0 }, { signal }) =>
      pinnedOf(await daemon.windlass.pin({ image: name, owner, reason, ttlMs }, { signal })),
    unpin: async (name, owner = '', { signal }) => unpinnedOf(await daemon.windlass.unpin({ image: name, owner }, { signal })),
    collect: async ({ dryRun, freeBytes = 0 }, { signal }) =>
      collectionOf(await daemon.windlass.collect({ dryRun, freeBytes }, { signal })),
    verify: async ({ images, repair, credentials }, { signal, onEvent }) => {
      const ask = { images: [...images], repair, ...loginOf(credentials) }
      for await (const message of daemon.windlass.verify(ask, { signal })) {
        const event = verifyEventOf(message)
        if (event !== undefined) onEvent(event)
      }
    },
    damaged: ({ signal }) => ifKnown(async () => (await daemon.windlass.listDamaged({}, { signal })).layers.map(damagedOf)),
    staleTags: ({ signal }) =>
      ifKnown(async () => (await daemon.windlass.listStale({}, { signal })).tags.map(({ reference }) => reference)),
    why: async (name, { signal }) => (await daemon.windlass.why({ name }, { signal })).things.map(heldOf),
    daemon: async ({ signal }) => infoOf(await daemon.windlass.info({}, { signal })),
    setPassthrough: async (on, reason, { signal }) => {
      await daemon.windlass.setPassthrough({ on, reason }, { signal })
    },
    [Symbol.asyncDispose]: async () => daemon[Symbol.dispose](),
  }
}

/** Until the signal aborts: leaving is how a watch ends. */
async function watch<T>(states: AsyncIterable<T>, onChange: (state: T) => void, { signal }: Abortable): Promise<void> {
  try {
    for await (const state of states) onChange(state)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** A daemon from before this was known lists its images all the same. */
async function ifKnown<T>(ask: () => Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof RpcError && error.code === 'UNIMPLEMENTED') return []
    throw error
  }
}

/** The daemon holds it for as long as the call lasts. */
async function hold(daemon: Connection, name: string, { signal }: Abortable): Promise<HeldImage & AsyncDisposable> {
  const left = new AbortController()
  const call = daemon.windlass.hold({ image: name }, { signal: AbortSignal.any([signal, left.signal]) })[Symbol.asyncIterator]()
  const { value } = await call.next()
  if (value === undefined) fail({ kind: 'internal', what: 'the daemon ended the call without an answer' })
  const { id, tags, config, layers } = value
  return { id, tags, config, layers, [Symbol.asyncDispose]: async () => left.abort() }
}

async function inspect(daemon: Connection, name: string, { signal }: Abortable): Promise<ImageDetail> {
  const wire = await daemon.windlass.inspectImage({ image: name }, { signal })
  const { id, tags, digests, platform, size, pinned, pins, overlayDir } = wire
  const digest = parseDigest(id, 'image id')
  return {
    id,
    tags,
    digests,
    manifest: descriptorOf(wire.manifest, 'manifest'),
    platform,
    size,
    pulledAt: new Date(wire.pulledAtMs),
    usedAt: new Date(wire.usedAtMs),
    pinned,
    pins: pins.map(pinOf),
    ...(wire.expiresAtMs === 0 ? {} : { expiresAt: new Date(wire.expiresAtMs) }),
    receipts: wire.receipts.map(receiptOf),
    ...(wire.receiptsSinceMs === 0 ? {} : { receiptsSince: new Date(wire.receiptsSinceMs) }),
    config: parseConfig(wire.configJson, { digest }, 'the daemon', wire.layers.length),
    configJson: wire.configJson.toString(),
    manifestJson: wire.manifestJson.toString(),
    overlayDir,
    layers: wire.layers.map(layerOf),
  }
}

const requestOf = ({ reference, credentials, platform = '' }: Ask) => ({
  reference,
  platform,
  ...loginOf(credentials),
})

const loginOf = (credentials: Credentials) =>
  credentials.kind === 'anonymous' ? {} : { credentials: wireCredentials(credentials) }

function wireCredentials(credentials: Exclude<Credentials, { kind: 'anonymous' }>) {
  switch (credentials.kind) {
    case 'basic':
      return { username: credentials.username, password: credentials.password }
    case 'identity-token':
      return { identityToken: credentials.token }
    case 'registry-token':
      return { registryToken: credentials.token }
  }
}
