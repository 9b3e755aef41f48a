/** The backend without a daemon: the pull path and the store in this process. */
import { fail } from '../failure/failure.ts'
import { formatPlatform, parsePlatform } from '../platform/platform.ts'
import type { PullRequest } from '../pull/pull.ts'
import { parseReference } from '../reference/parse.ts'
import { type FoundImage, findImage } from '../store/lookup.ts'
import type { Store, StoredImage } from '../store/store.ts'
import type { Ask, Backend, ImageDetail, ImageLayer, Removal } from './backend.ts'
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

/** Throws image-unknown, invalid-reference. */
const found = (store: Store, name: string): FoundImage =>
  findImage(store, name) ?? fail({ kind: 'image-unknown', reference: name })

async function removeFrom(store: Store, name: string): Promise<Removal> {
  const one = found(store, name)
  const { image } = one
  await (one.by === 'tag' ? store.untag(one.tag) : store.remove(image.id))
  const layers = await store.collect()
  return {
    imageId: image.id,
    untagged: one.by === 'tag' ? [one.tag] : image.tags,
    imageRemoved: store.find(image.id) === undefined,
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
