/** What the handler tests stand on: images as values, a store in memory, and a puller the test drives. */
import { type Digest, layerIds, parseDiffId, sha256 } from '../../src/oci/digest.ts'
import { type Descriptor, type ImageConfig, mediaTypes, type RunConfig } from '../../src/oci/oci.ts'
import type { Looker } from '../../src/pull/look.ts'
import type { PullEvent, Puller, PullRequest, PullStatus } from '../../src/pull/pull.ts'
import { formatReference } from '../../src/reference/parse.ts'
import type { OwnLayer, Store, StoredImage } from '../../src/store/store.ts'
import type { Abortable } from '../../src/task/task.ts'
import type { LayerVerifier } from '../../src/verify/verify.ts'

export type ImageWishes = {
  readonly tags?: readonly string[]
  readonly digests?: readonly string[]
  readonly run?: Partial<RunConfig>
  readonly pinned?: boolean
}

/** For services that are asked for no verification. */
export const noVerifier: LayerVerifier = {
  verify: () => Promise.reject(new Error('nothing is verified here')),
  finishRepairs: async () => {},
}

/** For services whose pulls are not written down. */
export const noHistory = { list: async () => [] }

/** For services that are asked to look nothing up. */
export const noLooker: Looker = {
  lookUp: () => Promise.reject(new Error('nothing is looked up here')),
  platforms: () => Promise.reject(new Error('nothing is looked up here')),
}

/** An image of two layers whose digests all follow from `seed`. */
export function storedImage(seed: string, { tags = [], digests = [], run = {}, pinned = false }: ImageWishes = {}): StoredImage {
  const diffIds = ['base', seed].map((name) => parseDiffId(sha256(`tar ${name}`)))
  const layers = ['base', seed].map((name, i) =>
    descriptor('application/vnd.oci.image.layer.v1.tar+gzip', `blob ${name}`, 1_000 + i),
  )
  const config: ImageConfig = {
    platform: { os: 'linux', architecture: 'amd64' },
    run: { exposedPorts: [], env: [], entrypoint: [], cmd: ['/hello'], volumes: [], labels: {}, ...run },
    diffIds,
  }
  const configBytes = Buffer.from(
    JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: diffIds }, seed }),
  )
  return {
    id: sha256(configBytes),
    tags,
    digests,
    manifest: descriptor(mediaTypes.ociManifest, `manifest ${seed}`, 500),
    config,
    configBytes,
    manifestBytes: Buffer.from(`manifest ${seed}`),
    layers,
    layerIds: layerIds(diffIds),
    size: 2_501 + configBytes.length,
    pulledAt: new Date('2026-01-02T03:04:05Z'),
    usedAt: new Date(0),
    pins: pinned ? [{ owner: 'test', reason: '', since: new Date(0) }] : [],
  }
}

export const descriptor = (mediaType: string, content: string, size: number): Descriptor => ({
  mediaType,
  digest: sha256(content),
  size,
})

export const layerOf = (image: StoredImage, at: number): OwnLayer => {
  const [id, diffId] = [image.layerIds[at], image.config.diffIds[at]]
  if (id === undefined || diffId === undefined) throw new Error(`no layer ${at}`)
  const facts = { diffSize: 10_000 + at, entries: 7, whiteouts: at }
  return { id, diffId, diff: `/store/overlay/${id}/diff`, tarSplit: `/store/${id}.tar-split.gz`, short: `l/${at}`, facts }
}

/** The part of `Store` that the services use, on a Map; what a real store must do is `store/store.ts`'s and held by its own tests. */
export function memoryStore(...initial: StoredImage[]) {
  const images = new Map(initial.map((image) => [image.id, image]))
  const calls: string[] = []
  const named = (name: string) => [...images.values()].find(({ tags, digests }) => tags.includes(name) || digests.includes(name))
  const byId = (name: string) =>
    [...images.values()].filter(({ id }) => id.startsWith(name.startsWith('sha256:') ? name : `sha256:${name}`))
  const store = {
    root: '/store',
    lease: () => ({ retain: async () => {}, [Symbol.asyncDispose]: async () => {} }),
    overlayDir: '/store/overlay',
    find: async (name) => {
      const [only, ...more] = byId(name)
      return named(name) ?? (more.length === 0 ? only : undefined)
    },
    images: async () => [...images.values()],
    layer: async (id) =>
      [...images.values()].flatMap((image) => [0, 1].map((at) => layerOf(image, at))).find((layer) => layer.id === id),
    remove: async (id: Digest) => {
      calls.push(`remove ${id}`)
      return images.delete(id)
    },
    untag: async (tag) => {
      calls.push(`untag ${tag}`)
      const image = named(tag)
      if (image === undefined) return false
      const tags = image.tags.filter((other) => other !== tag)
      if (tags.length === 0) images.delete(image.id)
      else images.set(image.id, { ...image, tags })
      return true
    },
    pin: async (id, pin) => {
      const image = images.get(id)
      if (image !== undefined) images.set(id, { ...image, pins: [pin] })
      return image !== undefined
    },
    unpin: async (id) => {
      const image = images.get(id)
      if (image !== undefined) images.set(id, { ...image, pins: [] })
      return image?.pins ?? []
    },
    holdings: {
      look: async () => ({
        images: [...images.values()],
        layers: [],
        leaving: { bytes: 0, inodes: 0 },
        holders: { leased: new Set(), read: new Set(), mounted: new Map(), adopted: { kind: 'known', layers: new Set() } },
      }),
      removeIdle: async ({ id }) => {
        calls.push(`remove ${id}`)
        return images.delete(id)
      },
      used: () => {},
      expirePins: async () => {},
      unlinked: async () => {},
    },
    receipts: {
      note: () => {},
      of: async () => ({
        receipts: [
          { identity: 'cafe', name: 'r.example/app@sha256:1', host: 'm\u009b.example', at: new Date(1_700_000_000_000) },
        ],
      }),
    },
    collect: async () => {
      calls.push('collect')
      return [{ ...layerOf(storedImage('collected'), 1), usedBytes: 10_001 }]
    },
    usage: async () => ({ mountpoint: '/store', usedBytes: 123_456, inodesUsed: 42, measuredAt: new Date(1_700_000_000_123) }),
  } satisfies Partial<Store>
  return { store, calls }
}

export type DrivenPull = {
  readonly request: PullRequest
  readonly signal: AbortSignal
  readonly emit: (event: PullEvent, atMs?: number) => void
  readonly succeed: (image: StoredImage) => void
  readonly fail: (error: unknown) => void
}

/** A puller whose every pull waits for what the test does with it; an abort rejects it, as the contract says. */
export function drivenPuller() {
  const waiting: ((pull: DrivenPull) => void)[] = []
  const arrived: DrivenPull[] = []
  const watchers = new Set<(pulls: readonly PullStatus[]) => void>()
  let status: readonly PullStatus[] = []
  const puller: Puller = {
    pull: (request, { signal, onEvent }) => {
      const { promise, resolve, reject } = Promise.withResolvers<{ image: StoredImage; plan: ReturnType<typeof planOf> }>()
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      const pull: DrivenPull = {
        request,
        signal,
        emit: (event, atMs = 0) => onEvent?.(event, atMs),
        succeed: (image) => resolve({ image, plan: planOf(image, request) }),
        fail: reject,
      }
      const taker = waiting.shift()
      if (taker === undefined) arrived.push(pull)
      else taker(pull)
      return promise
    },
    plan: async (request) => planOf(storedImage('planned'), request),
    check: async () => {},
    inFlight: () => status,
    staleTags: () => [],
    watch: (onChange, { signal }: Abortable) => {
      watchers.add(onChange)
      signal.addEventListener('abort', () => watchers.delete(onChange), { once: true })
    },
    close: async () => {},
  }
  return {
    puller,
    watchers,
    /** The next pull that comes, or the oldest nobody has taken. */
    next: (): Promise<DrivenPull> => {
      const there = arrived.shift()
      return there === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(there)
    },
    untaken: () => arrived.length,
    show: (pulls: readonly PullStatus[]) => {
      status = pulls
      for (const watcher of watchers) watcher(pulls)
    },
  }
}

export const planOf = (image: StoredImage, request: PullRequest) => ({
  reference: formatReference(request.reference),
  platform: request.platform ?? image.config.platform,
  root: image.manifest,
  manifest: image.manifest,
  imageId: image.id,
  layers: image.layers.map((blob, i) => ({
    blob,
    diffId: layerOf(image, i).diffId,
    origin: i === 0 ? ('here' as const) : ('registry' as const),
  })),
  present: false,
  bytesToFetch: 1_001,
  bytesHere: 1_000,
})
