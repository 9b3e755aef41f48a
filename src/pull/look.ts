/**
 * Looks a reference up without moving a layer: its documents and its platforms, at its registry or as they are kept here. What comes from a
 * registry has the digest it was asked for by, and is given on byte for byte.
 */
import { fail } from '../failure/failure.ts'
import { errorAbout } from '../failure/of-reference.ts'
import { type Digest, sha256 } from '../oci/digest.ts'
import type { Descriptor, Index, Platform } from '../oci/oci.ts'
import { parseConfig, parseManifestOrIndex } from '../oci/parse.ts'
import { formatPlatform, isAttestation, matches, normalizePlatform, selectManifest } from '../platform/platform.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import type { Credentials, Document, Registry } from '../registry/registry.ts'
import { findImage } from '../store/lookup.ts'
import type { Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import { rootOf } from './plan.ts'
import { chooseManifest, noPlatform } from './select.ts'

export type LookRequest = {
  /** As typed; in the store an id, or the beginning of one, too. */
  readonly name: string
  readonly credentials: Credentials
  /** In the store; else the registry is asked. */
  readonly local: boolean
}

/** A document as it came. */
export type Content = Pick<Document, 'descriptor' | 'bytes'>

export type LookedUp = {
  /** Normal form; the id of an image that was asked for by it. */
  readonly reference: string
  /** Who gave the documents. */
  readonly host: string
  /** What the reference names: an index where there is one. */
  readonly root: Content
  /** Where one image was asked for. */
  readonly image?: { readonly manifest: Content; readonly config: Content }
}

/** `chosen`: what a pull on this node takes; `runs`: this node could run it too. */
export const FITS = ['chosen', 'runs', 'foreign'] as const

export type OfferedPlatform = {
  /** Absent where the index does not say. */
  readonly platform?: string
  readonly manifest: Descriptor
  readonly fit: (typeof FITS)[number]
}

export type Offer = Pick<LookedUp, 'reference' | 'host'> & {
  readonly root: Descriptor
  /** This node's own. */
  readonly nodePlatform: string
  /** In the order of the index; one where there is no index. */
  readonly platforms: readonly OfferedPlatform[]
  /** Manifests about images, such as provenance. */
  readonly attestations: number
}

/**
 * Throws what `Repository.resolve` does, image-unknown for what is not in the store, invalid-reference; and where one image is meant, no-platform,
 * malformed and unsupported.
 */
export interface Looker {
  /** What a reference names. With `image`, one image's documents as well: of this platform, by default the node's. */
  lookUp(request: LookRequest & { readonly image?: { readonly platform?: Platform } }, options: Abortable): Promise<LookedUp>
  platforms(request: LookRequest, options: Abortable): Promise<Offer>
}

export type LookerParts = {
  readonly registry: Registry
  readonly store: Pick<Store, 'find'>
  /** This node's. */
  readonly platform: Platform
}

const HERE = 'this node'

export function createLooker(parts: LookerParts): Looker {
  const looker = bareLooker(parts)
  const about = async <T>({ name }: LookRequest, looking: Promise<T>): Promise<T> =>
    await looking.catch((error: unknown) => {
      throw errorAbout(name, error)
    })
  return {
    lookUp: (request, options) => about(request, looker.lookUp(request, options)),
    platforms: (request, options) => about(request, looker.platforms(request, options)),
  }
}

function bareLooker({ registry, store, platform: own }: LookerParts): Looker {
  const remoteFor = (name: string, credentials: Credentials) => {
    if (/^(?:sha256:)?[0-9a-f]{64}$/.test(name)) {
      const reason = 'an id alone names no repository; add --local to look at what is here, or write repository@sha256:…'
      fail({ kind: 'invalid-reference', input: name, reason })
    }
    const reference = parseReference(name)
    return { reference, remote: registry.connect(reference, credentials) }
  }
  const rootFrom = async ({ name, credentials }: LookRequest, options: Abortable) => {
    const { reference, remote } = remoteFor(name, credentials)
    const root = (await remote.resolve(options)) ?? fail({ kind: 'internal', what: 'a reference was resolved to nothing' })
    return { reference, remote, root, told: { reference: formatReference(reference), host: root.host, root } }
  }
  return {
    async lookUp(request, options) {
      const { image } = request
      const wanted = image?.platform ?? own
      if (request.local) return await lookedUpHere(store, request.name, image === undefined ? undefined : wanted)
      const { reference, remote, root, told } = await rootFrom(request, options)
      if (image === undefined) return told
      const context = { reference, platform: wanted, asked: image.platform !== undefined, remote }
      const chosen = await chooseManifest(context, root, options)
      const { manifest, document } = chosen
      const config = await remote.blob(manifest.config, options)
      if (!chosen.isPlatformKnown) {
        const { platform } = parseConfig(config.bytes, manifest.config, config.host, manifest.layers.length)
        if (!matches(platform, wanted)) noPlatform(context, [formatPlatform(platform)])
      }
      return { ...told, image: { manifest: document, config } }
    },

    async platforms(request, options) {
      if (request.local) {
        const { image, root, reference } = await foundHere(store, request.name)
        const told = { reference, host: HERE, root: root.descriptor, nodePlatform: formatPlatform(own) }
        const parsed = parseManifestOrIndex(root.bytes, root.descriptor, HERE)
        if (parsed.kind === 'index') return { ...told, ...offeredBy(parsed, own) }
        return { ...told, ...onlyOne(image.manifest, image.config.platform, own) }
      }
      const { remote, root, told } = await rootFrom(request, options)
      const offer = { ...told, root: root.descriptor, nodePlatform: formatPlatform(own) }
      const parsed = parseManifestOrIndex(root.bytes, root.descriptor, root.host)
      if (parsed.kind === 'index') return { ...offer, ...offeredBy(parsed, own) }
      const { bytes, host } = await remote.blob(parsed.config, options)
      const { platform } = parseConfig(bytes, parsed.config, host, parsed.layers.length)
      return { ...offer, ...onlyOne(root.descriptor, platform, own) }
    },
  }
}

/** What is here is one platform's: of the others an index that came with it says no more than that they exist. */
async function lookedUpHere(store: Pick<Store, 'find'>, name: string, wanted: Platform | undefined): Promise<LookedUp> {
  const { image, root, reference } = await foundHere(store, name)
  const told = { reference, host: HERE, root }
  if (wanted === undefined) return told
  const { platform } = image.config
  if (!matches(platform, wanted)) {
    const reason = `only ${formatPlatform(platform)} of ${reference} is here; without --local the registry is asked`
    fail({ kind: 'invalid-argument', what: `platform ${formatPlatform(wanted)}`, reason })
  }
  const config = { mediaType: configTypeOf(image), digest: image.id, size: image.configBytes.length }
  return {
    ...told,
    image: {
      manifest: { descriptor: image.manifest, bytes: image.manifestBytes },
      config: { descriptor: config, bytes: image.configBytes },
    },
  }
}

function configTypeOf({ manifest, manifestBytes }: StoredImage): string {
  const parsed = parseManifestOrIndex(manifestBytes, manifest, HERE)
  return parsed.kind === 'manifest' ? parsed.config.mediaType : ''
}

/** An image in the store, and the document that this name of it leads to. */
async function foundHere(store: Pick<Store, 'find'>, name: string) {
  const found = (await findImage(store, name)) ?? fail({ kind: 'image-unknown', names: [name] })
  const { image } = found
  const reference = found.by === 'id' ? undefined : parseReference(name)
  const digest = reference === undefined ? undefined : (reference.digest ?? rootOf(image, reference))
  return { image, root: rootHere(image, digest), reference: reference === undefined ? image.id : formatReference(reference) }
}

/** An index where nothing says otherwise: it is kept only where a name led to it. */
function rootHere({ manifest, manifestBytes, indexBytes }: StoredImage, digest: Digest | undefined): Content {
  if (indexBytes === undefined || digest === manifest.digest) return { descriptor: manifest, bytes: manifestBytes }
  const index = { mediaType: '', digest: sha256(indexBytes), size: indexBytes.length }
  const { mediaType } = parseManifestOrIndex(indexBytes, index, HERE)
  return { descriptor: { ...index, mediaType }, bytes: indexBytes }
}

function offeredBy(index: Index, own: Platform): Pick<Offer, 'platforms' | 'attestations'> {
  const chosen = selectManifest(index, own)
  const images = index.manifests.filter((entry) => !isAttestation(entry))
  const platforms = images.map(({ platform, mediaType, digest, size }): OfferedPlatform => {
    const fit = digest === chosen?.digest ? 'chosen' : platform !== undefined && matches(platform, own) ? 'runs' : 'foreign'
    const said = platform === undefined ? {} : { platform: formatPlatform(normalizePlatform(platform)) }
    return { ...said, manifest: { mediaType, digest, size }, fit }
  })
  return { platforms, attestations: index.manifests.length - images.length }
}

function onlyOne(manifest: Descriptor, platform: Platform, own: Platform): Pick<Offer, 'platforms' | 'attestations'> {
  const fit = matches(platform, own) ? 'chosen' : 'foreign'
  return { platforms: [{ platform: formatPlatform(normalizePlatform(platform)), manifest, fit }], attestations: 0 }
}
