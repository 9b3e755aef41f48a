/** Digests and the names derived from them. A `Digest` is made by `parseDigest` or `sha256`, nowhere else. */
import { hash } from 'node:crypto'
import { fail } from '../failure/failure.ts'

declare const brand: unique symbol

/** `sha256:` and 64 lower-case hex digits (image-spec descriptor.md, "Digests"). */
export type Digest = `sha256:${string}` & { readonly [brand]: { readonly digest: true } }
/** The digest of a layer's uncompressed tar (image-spec config.md, "Layer DiffID"). */
export type DiffId = Digest & { readonly [brand]: { readonly diffId: true } }
/** A store's name of a layer within its chain, 64 hex digits: containers/storage and containerd have each their own. */
export type LayerId = string & { readonly [brand]: { readonly layerId: true } }

const SHA256 = /^sha256:[0-9a-f]{64}$/

/** True for a well-formed sha256 digest. */
export const isDigest = (text: string): text is Digest => SHA256.test(text)

/** Parses a digest; `invalid-argument` names `what` otherwise. */
export function parseDigest(text: string, what = 'digest'): Digest {
  if (isDigest(text)) return text
  const reason = /^sha(384|512):/.test(text) ? 'only sha256 digests are supported' : 'want sha256: and 64 lower-case hex digits'
  fail({ kind: 'invalid-argument', what: `${what} ${JSON.stringify(text.slice(0, 160))}`, reason })
}

/** Parses a diffID from an image config. */
export const parseDiffId = (text: string): DiffId => parseDigest(text, 'diffID') as DiffId

/** The digest of `bytes`. */
export const sha256 = (bytes: Uint8Array | string): Digest => digestOfHex(hash('sha256', bytes))

/** The digest with this hex part, as a finished hash gives it. */
export const digestOfHex = (hex: string): Digest => parseDigest(`sha256:${hex}`)

/** The 64 hex digits of a digest. */
export const hexOf = (digest: Digest): string => digest.slice('sha256:'.length)

/** The chainIDs of a list of diffIDs, base first (image-spec config.md, "Layer ChainID"). */
export function chainIds(diffIds: readonly DiffId[]): Digest[] {
  const chain: Digest[] = []
  for (const diffId of diffIds) {
    const parent = chain.at(-1)
    chain.push(parent === undefined ? diffId : sha256(`${parent} ${diffId}`))
  }
  return chain
}

/**
 * The containers/storage id of a layer above `parent`: the base's is its diffID's hex, every other one the SHA-256 of
 * `<parent id>+<diffID hex>`. podman and CRI-O compute the same, so they find our layers.
 */
export const layerIdAbove = (parent: LayerId | undefined, diffId: DiffId): LayerId =>
  (parent === undefined ? hexOf(diffId) : hexOf(sha256(`${parent}+${hexOf(diffId)}`))) as LayerId

/** The containers/storage ids of a list of diffIDs, base first. */
export function layerIds(diffIds: readonly DiffId[]): LayerId[] {
  const ids: LayerId[] = []
  for (const diffId of diffIds) ids.push(layerIdAbove(ids.at(-1), diffId))
  return ids
}

/** True for a layer id: 64 lower-case hex digits. */
export const isLayerId = (text: string): text is LayerId => /^[0-9a-f]{64}$/.test(text)
