/** The backend without a daemon: the pull path and the store in this process. */
import { fail } from '../failure/failure.ts'
import { formatPlatform, parsePlatform } from '../platform/platform.ts'
import type { PullRequest } from '../pull/pull.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import type { Store, StoredImage } from '../store/store.ts'
import type { Ask, Backend, ImageDetail, ImageLayer } from './backend.ts'
import type { Embedded } from './deps.ts'

export function embeddedBackend(embedded: Embedded): Backend {
  const { puller, store } = embedded
  return {
    pull: async (ask, { signal, onEvent }) => (await puller.pull(requestOf(ask), { signal, onEvent })).image.id,
    plan: (ask, { signal }) => puller.plan(requestOf(ask), { signal }),
    pulls: async () => puller.inFlight(),
    watchPulls: async (onChange, { signal }) => {
      const left = Promise.withResolvers<void>()
      signal.addEventListener('abort', () => left.resolve(), { once: true })
      puller.watch(onChange, { signal })
      onChange(puller.inFlight())
      if (!signal.aborted) await left.promise
    },
    images: async () => store.images(),
    inspect: async (name) => detailOf(store, found(store, name).image),
    remove: (name) => removeFrom(store, name),
    daemon: async () => undefined,
    [Symbol.asyncDispose]: () => embedded[Symbol.asyncDispose](),
  }
}

const requestOf = (ask: Ask): PullRequest => ({
  reference: parseReference(ask.reference),
  credentials: ask.credentials,
  client: 'cli',
  ...(ask.platform === undefined ? {} : { platform: parsePlatform(ask.platform) }),
})

type Found = { readonly image: StoredImage; readonly tag?: string }

/** An id, or a part of one, is taken for one only where it names no image by its tag. */
function found(store: Store, name: string): Found {
  const normal = /^sha256:/.test(name) ? undefined : formatReference(parseReference(name))
  const named = normal === undefined ? undefined : store.find(normal)
  if (named !== undefined) {
    const tag = named.tags.find((one) => one === normal)
    return { image: named, ...(tag === undefined ? {} : { tag }) }
  }
  const byId = /^(sha256:)?[0-9a-f]{4,64}$/.test(name) ? store.find(name) : undefined
  return byId === undefined ? fail({ kind: 'image-unknown', reference: name }) : { image: byId }
}

async function removeFrom(store: Store, name: string) {
  const { image, tag } = found(store, name)
  const imageRemoved = tag === undefined || image.tags.length === 1
  await (tag === undefined ? store.remove(image.id) : store.untag(tag))
  const layers = await store.collect()
  return {
    imageId: image.id,
    untagged: tag === undefined ? image.tags : [tag],
    imageRemoved,
    layersRemoved: layers.length,
    bytesFreed: layers.reduce((sum, layer) => sum + layer.facts.diffSize, 0),
  }
}

function detailOf(store: Store, image: StoredImage): ImageDetail {
  const layers = image.layerIds.map((id, position): ImageLayer => {
    const layer = store.layer(id)
    const blob = image.layers[position]
    if (layer === undefined || blob === undefined) fail({ kind: 'internal', what: `image ${image.id} lacks layer ${id}` })
    const { diffId, diff, short, facts } = layer
    return { blob, diffId, layerId: id, diff, short, ...facts }
  })
  const { id, tags, digests, manifest, size, pulledAt, pinned, config } = image
  return {
    id,
    tags,
    digests,
    manifest,
    platform: formatPlatform(config.platform),
    size,
    pulledAt,
    pinned,
    config,
    configJson: Buffer.from(image.configBytes).toString(),
    manifestJson: Buffer.from(image.manifestBytes).toString(),
    overlayDir: store.overlayDir,
    layers,
  }
}
