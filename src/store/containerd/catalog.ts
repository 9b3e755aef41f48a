/**
 * Images as containerd has them: records that name content, and the documents they lead to. Records change behind our back and are asked
 * for every time; what a digest leads to never changes and is remembered.
 */
import { failureOf } from '../../failure/failure.ts'
import { type Digest, isDigest } from '../../oci/digest.ts'
import type { Descriptor, Platform } from '../../oci/oci.ts'
import { parseConfig, parseManifestOrIndex } from '../../oci/parse.ts'
import { selectManifest } from '../../platform/platform.ts'
import type { Image__Output } from '../../rpc/generated/containerd/services/images/v1/Image.ts'
import { Limiter } from '../../task/limiter.ts'
import type { Expiry } from '../expiry.ts'
import type { Pin } from '../pins.ts'
import type { StoredImage } from '../store.ts'
import { isUnreadable, readDocument } from './content.ts'
import type { Daemon } from './daemon.ts'
import { gc, layerIdsOf } from './names.ts'
import { pinsIn, pinsOf } from './pin-labels.ts'

/** What a record's target leads to on this node's platform. */
type Documents = Pick<StoredImage, 'id' | 'manifest' | 'config' | 'configBytes' | 'manifestBytes' | 'indexBytes' | 'layers'>

/** A record whose target is a digest we can follow. `madeAt` in milliseconds, with a fraction. */
export type Named = {
  readonly name: string
  readonly target: Descriptor
  readonly madeAt: number
  /** By somebody else: containerd's configuration, or whoever labels records. */
  readonly pinned: boolean
  readonly pins: readonly Pin[]
  /** From then on containerd may remove the record. */
  readonly expiresAt?: Date
}

/** Documents kept in memory, some 10 KB each; targets whose image is known, some 200 bytes. */
const MAX_DOCUMENTS = 128
const MAX_TARGETS = 20_000
/** Larger ones are read again each time. */
const MAX_REMEMBERED = 2 ** 18
/** Documents that are read at the same time. */
const READS = 8
const MAX_INDEX_DEPTH = 4
const ID_RECORD = /^sha256:[0-9a-f]{64}$/

export class Catalog {
  readonly #daemon: Daemon
  readonly #platform: Platform
  /** By target. */
  readonly #documents = new Map<Digest, Documents>()
  readonly #ids = new Map<Digest, Digest>()

  constructor(daemon: Daemon, platform: Platform) {
    this.#daemon = daemon
    this.#platform = platform
  }

  /** An image by tag or digest reference in normal form, by id or the beginning of one. */
  async find(name: string): Promise<StoredImage | undefined> {
    const records = await this.records()
    const record = records.find((each) => each.name === name) ?? (await this.#byId(records, name))
    return record === undefined ? undefined : await this.#image(records, record)
  }

  /** All images, oldest first; what cannot be read is no image of ours to show. */
  async images(): Promise<readonly StoredImage[]> {
    const records = await this.records()
    const images = new Map<Digest, StoredImage>()
    for (const record of records) {
      const id = await this.idOf(record.target)
      if (id === undefined || images.has(id)) continue
      const image = await this.#image(records, record)
      if (image !== undefined) images.set(id, image)
    }
    return [...images.values()].sort((a, b) => a.pulledAt.getTime() - b.pulledAt.getTime())
  }

  /** The records of one image, whichever targets they have. */
  async recordsOf(id: Digest): Promise<readonly Named[]> {
    return await this.#leadingTo(await this.records(), id)
  }

  async #leadingTo(records: readonly Named[], id: Digest): Promise<readonly Named[]> {
    const ids = await this.#idsOf(records)
    return records.filter((_, at) => ids[at] === id)
  }

  /** What each leads to; few are read at a time. */
  async #idsOf(records: readonly Named[]): Promise<readonly (Digest | undefined)[]> {
    const limiter = new Limiter(READS)
    const { signal } = new AbortController()
    return await Promise.all(
      records.map(async ({ target }) => {
        const known = this.#ids.get(target.digest)
        if (known !== undefined) return known
        using _permit = await limiter.acquire({ signal })
        return await this.idOf(target)
      }),
    )
  }

  /** Every record, oldest first. */
  async records(): Promise<readonly Named[]> {
    const { images } = await this.#daemon.call('list images', (c, options) => c.images.list({}, options))
    const named = images.flatMap((image) => namedOf(image) ?? [])
    // The CRI plugin names each image by its id too: that tells what a target leads to without reading it.
    for (const { name, target } of named) if (isDigest(name)) this.learn(target.digest, name)
    return named.sort((a, b) => a.madeAt - b.madeAt)
  }

  /** The image a target leads to. */
  async idOf(target: Descriptor): Promise<Digest | undefined> {
    return this.#ids.get(target.digest) ?? (await this.#read(target))?.id
  }

  learn(target: Digest, id: Digest): void {
    if (!this.#ids.has(target)) bounded(this.#ids, MAX_TARGETS).set(target, id)
  }

  async #byId(records: readonly Named[], text: string): Promise<Named | undefined> {
    const prefix = /^(?:sha256:)?([0-9a-f]{3,64})$/.exec(text)?.[1]
    if (prefix === undefined) return undefined
    const ids = await this.#idsOf(records)
    const matching = new Set(ids.filter((id) => id?.startsWith(`sha256:${prefix}`)))
    return matching.size === 1 ? records.find((_, at) => matching.has(ids[at])) : undefined
  }

  async #image(records: readonly Named[], { target }: Named): Promise<StoredImage | undefined> {
    const documents = await this.#read(target)
    if (documents === undefined) return undefined
    const own = await this.#leadingTo(records, documents.id)
    const names = own.map(({ name }) => name).filter((name) => !ID_RECORD.test(name))
    const { configBytes, manifestBytes, layers } = documents
    const pulledAt = new Date(own[0]?.madeAt ?? 0)
    const expiry = expiryOf(own)
    return {
      ...documents,
      tags: names.filter((name) => !name.includes('@')),
      digests: names.filter((name) => name.includes('@')),
      size: layers.reduce((sum, { size }) => sum + size, configBytes.length + manifestBytes.length),
      layerIds: layerIdsOf(documents.config.diffIds),
      pulledAt,
      usedAt: pulledAt,
      pins: pinsOf(own),
      ...(expiry === undefined ? {} : { expiry }),
    }
  }

  /** Undefined where the documents are not all here, or are not ones we understand: such an image is pulled anew. */
  async #read(target: Descriptor): Promise<Documents | undefined> {
    const known = this.#documents.get(target.digest)
    if (known !== undefined) return known
    try {
      const documents = await this.#follow(target)
      if (documents !== undefined) this.#remember(target.digest, documents)
      return documents
    } catch (error) {
      if (isUnreadable(failureOf(error))) return undefined
      throw error
    }
  }

  async #follow(target: Descriptor): Promise<Documents | undefined> {
    let descriptor = target
    let indexBytes: Uint8Array | undefined
    for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth++) {
      const bytes = await readDocument(this.#daemon, descriptor)
      const parsed = parseManifestOrIndex(bytes, descriptor, 'containerd')
      if (parsed.kind === 'manifest') {
        const configBytes = await readDocument(this.#daemon, parsed.config)
        const config = parseConfig(configBytes, parsed.config, 'containerd', parsed.layers.length)
        const { mediaType, digest } = descriptor
        const manifest = { mediaType, digest, size: bytes.length }
        const index = indexBytes === undefined ? {} : { indexBytes }
        const { layers } = parsed
        return { id: parsed.config.digest, manifest, config, configBytes, manifestBytes: bytes, layers, ...index }
      }
      indexBytes ??= bytes
      const chosen = selectManifest(parsed, this.#platform)
      if (chosen === undefined) return undefined
      descriptor = chosen
    }
    return undefined
  }

  #remember(target: Digest, documents: Documents): void {
    this.learn(target, documents.id)
    const { configBytes, manifestBytes, indexBytes } = documents
    const bytes = configBytes.length + manifestBytes.length + (indexBytes?.length ?? 0)
    if (bytes <= MAX_REMEMBERED) bounded(this.#documents, MAX_DOCUMENTS).set(target, documents)
  }
}

/** A map with room for one more: what was put in first goes. */
function bounded<K, V>(map: Map<K, V>, most: number): Map<K, V> {
  const [oldest] = map.keys()
  if (oldest !== undefined && map.size >= most) map.delete(oldest)
  return map
}

/** A record that stays holds the image. */
function expiryOf(records: readonly Named[]): Expiry | undefined {
  const times = records.flatMap(({ expiresAt }) => expiresAt?.getTime() ?? [])
  if (times.length === 0) return undefined
  return { at: new Date(Math.max(...times)), of: times.length === records.length ? 'image' : 'some names' }
}

function namedOf({ name, target, createdAt, labels }: Image__Output): Named | undefined {
  if (target === null || !isDigest(target.digest)) return undefined
  const { mediaType, digest, size } = target
  const { pins, others } = pinsIn(labels)
  // What somebody has written there that is no time does nothing.
  const expires = new Date(labels[gc.expire] ?? '')
  return {
    name,
    target: { mediaType, digest, size },
    madeAt: (createdAt?.seconds ?? 0) * 1000 + (createdAt?.nanos ?? 0) / 1e6,
    pinned: others,
    pins,
    ...(Number.isNaN(expires.getTime()) ? {} : { expiresAt: expires }),
  }
}
