/** What a pull will do: resolve, choose the platform, read the config, look at what is here. Moves no layer. */
import { fail, WindlassError } from '../failure/failure.ts'
import { type Digest, type LayerId, parseDigest, sha256 } from '../oci/digest.ts'
import type { ImageConfig, Manifest } from '../oci/oci.ts'
import { compressionOf, parseConfig } from '../oci/parse.ts'
import { formatPlatform, matches } from '../platform/platform.ts'
import { formatReference, formatRepository } from '../reference/parse.ts'
import type { Reference } from '../reference/reference.ts'
import { type Document, type Repository, unconfirmed } from '../registry/registry.ts'
import type { NewImage, Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { LayerOrigin, PullPlan } from './pull.ts'
import { chooseManifest, noPlatform, type WantedImage } from './select.ts'

export type Planned = {
  readonly plan: PullPlan
  readonly image: NewImage
  readonly layerIds: readonly LayerId[]
  /** The record of this image, where it has this name and all its layers: nothing is left to publish, though damaged ones may have to come. */
  readonly published: StoredImage | undefined
  readonly host: string
  /** Why the registry was not asked; the tag is answered with what it named last. */
  readonly stale?: WindlassError
}

export type PlanContext = WantedImage & {
  readonly remote: Repository
  readonly store: Pick<Store, 'find' | 'layer' | 'layerByDiffId' | 'layerIds' | 'health'>
  /** What is here will do where the registry cannot be reached; never with `recheckAccess`. */
  readonly mayBeStale?: boolean
  /** The registry itself must say that this caller may read it, before anything else is looked at. */
  readonly recheckAccess?: boolean
  /** Told, before the registry is asked, that nothing has this name here. */
  readonly onUnknown?: () => void
}

/** Throws everything `Repository.resolve` does, no-platform, malformed and unsupported. */
export async function makePlan(context: PlanContext, options: Abortable): Promise<Planned> {
  const { reference } = context
  const before = await context.store.find(formatReference(reference))
  if (before === undefined) context.onUnknown?.()
  const known = before !== undefined && matches(before.config.platform, context.platform) ? rootOf(before, reference) : undefined
  const mayBeStale = context.mayBeStale === true && context.recheckAccess !== true && known !== undefined
  const root = await resolved(context, known, { ...options, hurried: mayBeStale }).catch((error: unknown) => {
    if (mayBeStale && error instanceof WindlassError && error.failure.kind === 'registry-unavailable') return error
    throw error
  })
  if (root instanceof WindlassError) return await staleOrThrow(context, root, before, known)
  if (root === undefined && before !== undefined && known !== undefined)
    return await planned(context, documentsOf(before, known), before.id)
  if (root === undefined) fail({ kind: 'internal', what: 'the registry client says nothing has moved, but nothing was known' })
  const { manifest, document, index, isPlatformKnown } = await chooseManifest(context, root, options)
  const { config, bytes } = await readConfig(context, manifest, isPlatformKnown, options)
  return await planned(context, { root, document, manifest, config, configBytes: bytes, index }, manifest.config.digest)
}

/** What the tag named last, where all of it is here. */
async function staleOrThrow(
  context: PlanContext,
  error: WindlassError,
  before: StoredImage | undefined,
  known: Digest | undefined,
): Promise<Planned> {
  if (before === undefined || known === undefined) throw error
  const last = await planned(context, documentsOf(before, known), before.id)
  if (!last.plan.present) throw error
  return { ...last, stale: error }
}

/** Where the registry's word is wanted it is had before anything else is looked at, and that nobody could be asked is told as its lack. */
async function resolved(
  { remote, recheckAccess }: PlanContext,
  known: Digest | undefined,
  options: Abortable & { readonly hurried: boolean },
): Promise<Document | undefined> {
  const resolving = remote.resolve({ ...options, ...(known === undefined ? {} : { known }) })
  if (recheckAccess !== true) return await resolving
  const root = await resolving.catch((error: unknown) => {
    throw unconfirmed(error)
  })
  const digest = root?.descriptor.digest ?? known
  if (digest !== undefined) await remote.confirm(digest, options)
  return root
}

type Documents = {
  readonly root: Pick<Document, 'descriptor' | 'host'>
  readonly document: Pick<Document, 'descriptor' | 'bytes'>
  readonly manifest: Pick<Manifest, 'layers'>
  readonly config: ImageConfig
  readonly configBytes: Uint8Array
  readonly index: Uint8Array | undefined
}

/** The digest this repository gave the image by: what a HEAD is compared with. */
export function rootOf(image: StoredImage, reference: Reference): Digest | undefined {
  const prefix = `${formatRepository(reference)}@`
  const [only, ...more] = image.digests.filter((digest) => digest.startsWith(prefix))
  // Where one image came by several digests, nobody can say which of them this tag had.
  if (only === undefined || more.length > 0) return undefined
  const root = parseDigest(only.slice(prefix.length))
  const { manifest, indexBytes } = image
  return root === manifest.digest || (indexBytes !== undefined && root === sha256(indexBytes)) ? root : undefined
}

function documentsOf(image: StoredImage, root: Digest): Documents {
  const descriptor =
    root === image.manifest.digest ? image.manifest : { ...image.manifest, digest: root, size: image.indexBytes?.length ?? 0 }
  return {
    root: { descriptor, host: 'this node' },
    document: { descriptor: image.manifest, bytes: image.manifestBytes },
    manifest: { layers: image.layers },
    config: image.config,
    configBytes: image.configBytes,
    index: image.indexBytes,
  }
}

/** Where no index entry named the platform the config does, and is looked at before any layer is fetched. */
async function readConfig(
  context: PlanContext,
  manifest: Manifest,
  isPlatformKnown: boolean,
  options: Abortable,
): Promise<{ readonly config: ImageConfig; readonly bytes: Uint8Array }> {
  for (const layer of manifest.layers) compressionOf(layer.mediaType)
  const { platform, remote, store } = context
  const here = await store.find(manifest.config.digest)
  const { bytes, host } =
    here === undefined ? await remote.blob(manifest.config, options) : { bytes: here.configBytes, host: 'this node' }
  const config = parseConfig(bytes, manifest.config, host, manifest.layers.length)
  if (!isPlatformKnown && !matches(config.platform, platform)) noPlatform(context, [formatPlatform(config.platform)])
  return { config, bytes }
}

async function planned({ reference, store }: PlanContext, documents: Documents, id: Digest): Promise<Planned> {
  const { root, document, manifest, config, configBytes, index } = documents
  const ids = store.layerIds(config.diffIds)
  const here = await countHere(store, ids)
  const origins = await originsOf(store, ids, config.diffIds, here)
  const layers = manifest.layers.map((blob, at) => {
    const [diffId, origin] = [config.diffIds[at], origins[at]]
    if (diffId === undefined || origin === undefined) fail({ kind: 'internal', what: `no diffID for layer ${at}` })
    return { blob, diffId, origin }
  })
  const name = formatReference(reference)
  const digest = `${formatRepository(reference)}@${root.descriptor.digest}`
  const published = await store.find(id)
  const isNamed =
    published !== undefined &&
    (published.tags.includes(name) || reference.tag === undefined) &&
    published.digests.includes(digest)
  const isWhole = isNamed && here === ids.length
  const present = isWhole && layers.every(({ origin }) => origin === 'here')
  const bytes = (here: boolean): number =>
    layers.reduce((sum, { blob, origin }) => sum + ((origin === 'registry') === here ? 0 : blob.size), 0)
  return {
    plan: {
      reference: name,
      platform: config.platform,
      root: root.descriptor,
      manifest: document.descriptor,
      imageId: id,
      layers,
      present,
      bytesToFetch: bytes(false),
      bytesHere: bytes(true),
    },
    image: {
      id,
      manifest: document.descriptor,
      config,
      configBytes,
      manifestBytes: document.bytes,
      ...(index === undefined ? {} : { indexBytes: index }),
      layers: manifest.layers,
      ...(reference.tag === undefined ? {} : { tag: name }),
      digest,
    },
    layerIds: ids,
    published: isWhole ? published : undefined,
    host: root.host,
  }
}

async function originsOf(
  store: PlanContext['store'],
  ids: readonly LayerId[],
  diffIds: ImageConfig['diffIds'],
  here: number,
): Promise<readonly LayerOrigin[]> {
  const damaged = new Set(store.health?.damaged().map(({ id }) => id))
  return await Promise.all(
    diffIds.map(async (diffId, at) => {
      const id = ids[at]
      if (at < here && id !== undefined && !damaged.has(id)) return 'here'
      return (await store.layerByDiffId(diffId)) === undefined ? 'registry' : 'copy'
    }),
  )
}

/** How many of a chain are here, from the base: a layer is never here without those below it, so halving finds the topmost. */
async function countHere(store: PlanContext['store'], ids: readonly LayerId[]): Promise<number> {
  let [here, missing] = [0, ids.length + 1]
  while (missing - here > 1) {
    const middle = Math.floor((here + missing) / 2)
    const id = ids[middle - 1]
    if (id !== undefined && (await store.layer(id)) !== undefined) here = middle
    else missing = middle
  }
  return here
}
