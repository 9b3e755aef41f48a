/** The backend without a daemon: the pull path and the store in this process. */
import { repositoryOf } from '../archive/repository.ts'
import { fail } from '../failure/failure.ts'
import { pinImage, unpinImage } from '../gc/pinning.ts'
import { removeImage } from '../gc/remove.ts'
import { why } from '../gc/why.ts'
import { parsePlatform } from '../platform/platform.ts'
import { wantedPlatform } from '../platform/wanted.ts'
import { loginFor, pullAgain } from '../pull/again.ts'
import { silent } from '../pull/log.ts'
import type { PullRequest } from '../pull/pull.ts'
import { parseReference } from '../reference/parse.ts'
import { imageDetail } from '../store/detail.ts'
import { noExpiries } from '../store/expiry.ts'
import { holdImage } from '../store/held.ts'
import { type FoundImage, findImage } from '../store/lookup.ts'
import { isPinned } from '../store/pins.ts'
import type { Store, StoredImage } from '../store/store.ts'
import { damagedLayers } from '../verify/damaged.ts'
import type { Ask, Backend } from './backend.ts'
import type { Embedded } from './deps.ts'

export function embeddedBackend(embedded: Embedded): Backend {
  const { puller, looker, history, store, collector, housekeeper, verifier } = embedded
  const watchPulls: Backend['watchPulls'] = async (onChange, { signal }) => {
    const left = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => left.resolve(), { once: true })
    puller.watch(onChange, { signal })
    onChange(puller.inFlight())
    if (!signal.aborted) await left.promise
  }
  return {
    pull: async (ask, { signal, onEvent }) => {
      if (ask.expiresAfterMs !== undefined) fail(noExpiries)
      return (await puller.pull(requestOf(ask), { signal, onEvent })).image.id
    },
    load: async ({ image, archive, ...ask }, options) => {
      const request = requestOf({ ...ask, credentials: { kind: 'anonymous' } })
      const source = repositoryOf(image, request.reference, archive)
      return (await puller.pull({ ...request, source }, options)).image.id
    },
    plan: (ask, { signal }) => puller.plan(requestOf(ask), { signal }),
    lookUp: ({ image, platform, ...request }, { signal }) =>
      looker.lookUp(
        { ...request, ...(image ? { image: platform === undefined ? {} : { platform: parsePlatform(platform) } } : {}) },
        { signal },
      ),
    platforms: (request, { signal }) => looker.platforms(request, { signal }),
    pulls: async () => puller.inFlight(),
    watchPulls,
    queue: async () => ({ pulls: puller.inFlight() }),
    watchQueue: (onChange, options) => watchPulls((pulls) => onChange({ pulls }), options),
    history: (ask) => history.list(ask),
    images: async () => (await store.images()).map((image) => ({ ...image, pinned: isPinned(image) })),
    inspect: async (name) => await imageDetail(store, (await found(store, name)).image),
    hold: (name) => holdImage(store, name),
    remove: async (name) =>
      (await removeImage({ store, collector, log: silent }, await found(store, name), 'cli')) ?? unknown(name),
    pin: (name, wish) => pinImage(store, name, wish),
    unpin: (name, owner) => unpinImage(store, name, owner),
    collect: async (request) => {
      const { disk, images, stays, keptLayers, layers, bytes } = await housekeeper.sweep(request)
      return { disk, layers, bytes, keptLayers, images: images.map(shown), kept: stays.map(shown) }
    },
    verify: async ({ images, repair, credentials }, options) => {
      const login = await loginFor(store, images, credentials)
      await verifier.verify({ images, ...(repair ? { repair: pullAgain(puller, 'cli', login) } : {}) }, options)
    },
    damaged: () => damagedLayers(store),
    staleTags: async () => puller.staleTags().map(({ reference }) => reference),
    why: (name) => why(store, name),
    daemon: async () => undefined,
    setPassthrough: async () =>
      fail({ kind: 'invalid-argument', what: 'passthrough', reason: 'it is switched in a daemon; use --socket' }),
    [Symbol.asyncDispose]: () => embedded[Symbol.asyncDispose](),
  }
}

/** An image by id and names, as a client of a daemon has it. */
const shown = <T extends { readonly image: StoredImage }>({ image, ...rest }: T) => ({
  ...rest,
  id: image.id,
  names: [...image.tags, ...image.digests],
  usedAt: image.usedAt,
})

const requestOf = (ask: Ask): PullRequest => ({
  reference: parseReference(ask.reference),
  credentials: ask.credentials,
  client: 'cli',
  ...(ask.platform === undefined ? {} : { platform: wantedPlatform(ask.platform) }),
})

/** Throws image-unknown, invalid-reference. */
const found = async (store: Store, name: string): Promise<FoundImage> => (await findImage(store, name)) ?? unknown(name)

const unknown = (name: string): never => fail({ kind: 'image-unknown', names: [name] })
