/** The database's statements as verbs. Those that write are for `transaction`'s work, and return the names they changed. */
import type { DatabaseSync } from 'node:sqlite'
import type { z } from 'zod'
import type { WindlassError } from '../../failure/failure.ts'
import { type Digest, type LayerId, layerIds } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/oci.ts'
import type { Damage } from '../facts.ts'
import type { Pin } from '../pins.ts'
import type { NewImage } from '../store.ts'
import { attempt, transaction } from './database.ts'
import { PinTable } from './pin-table.ts'
import { ReceiptTable } from './receipt-table.ts'
import {
  allNamesRow,
  editionRow,
  type ImageNames,
  type ImageRecord,
  imageRow,
  type LayerRecord,
  layerRow,
  nameRow,
  pinRow,
} from './records.ts'
import { Statements } from './statements.ts'

/** Everything at once, for the start. `unreadable` lists ids of rows that are not what they must be. */
export type Loaded = {
  readonly layers: readonly LayerRecord[]
  readonly images: readonly { readonly image: ImageRecord; readonly names: ImageNames; readonly pins: readonly Pin[] }[]
  readonly unreadable: { readonly layers: readonly string[]; readonly images: readonly string[] }
}

/** What became of names: the full lists of every image touched, and the images that are gone. */
export type NamesChanged = { readonly names: readonly ImageNames[]; readonly gone: readonly Digest[] }

export class Ledger {
  readonly #db: DatabaseSync
  readonly #file: string
  readonly #sql: Statements
  readonly pins: PinTable
  readonly receipts: ReceiptTable

  constructor(db: DatabaseSync, file: string) {
    this.#db = db
    this.#file = file
    this.#sql = new Statements(db)
    this.pins = new PinTable(this.#sql)
    this.receipts = new ReceiptTable(this.#sql)
  }

  load(): Loaded {
    const layers = this.#sql.parsed(layerRow, 'SELECT * FROM layers ORDER BY rowid')
    const images = this.#sql.parsed(imageRow, 'SELECT * FROM images ORDER BY pulled_at, rowid')
    const tags = Map.groupBy(this.#sql.parsed(nameRow, 'SELECT name, image FROM tags ORDER BY rowid').good, ({ image }) => image)
    const digests = Map.groupBy(
      this.#sql.parsed(nameRow, 'SELECT name, image FROM digests ORDER BY rowid').good,
      ({ image }) => image,
    )
    const pins = Map.groupBy(this.#sql.parsed(pinRow, 'SELECT * FROM pins ORDER BY rowid').good, ({ image }) => image)
    const namesIn = (by: typeof tags, image: Digest): string[] => by.get(image)?.map(({ name }) => name) ?? []
    return {
      layers: layers.good,
      images: images.good.map((image) => ({
        image,
        names: { image: image.id, tags: namesIn(tags, image.id), digests: namesIn(digests, image.id) },
        pins: pins.get(image.id)?.map(({ pin }) => pin) ?? [],
      })),
      unreadable: { layers: layers.bad, images: images.bad },
    }
  }

  /**
   * Records an image under its names, with those of its layers that are not recorded yet (parents first). The same config can come with
   * other documents: the newest are kept, or those on record where `documents` says so.
   */
  publish(
    image: NewImage,
    layers: readonly LayerRecord[],
    now: Date,
    documents: 'newest' | 'on-record' = 'newest',
  ): NamesChanged {
    this.record(layers)
    const isNew = this.#sql.row('SELECT 1 FROM images WHERE id = ?', image.id) === undefined
    if (documents === 'newest' || isNew) this.#upsertImage(image, now)
    if (image.receipt !== undefined) this.receipts.keep(image.id, image.receipt, isNew ? { receipts: [], since: now } : undefined)
    const before = image.tag === undefined ? undefined : this.#imageOf(image.tag)
    if (image.tag !== undefined) this.#sql.run('INSERT OR REPLACE INTO tags (name, image) VALUES (?, ?)', image.tag, image.id)
    const asked = image.tag === undefined || this.#isAsked(image.digest, image.id)
    this.#sql.run('INSERT OR REPLACE INTO digests (name, image, asked) VALUES (?, ?, ?)', image.digest, image.id, Number(asked))
    const touched = before === undefined || before === image.id ? [image.id] : [before, image.id]
    return { names: touched.map((id) => this.#namesOf(id)), gone: [] }
  }

  /** Records layers, parents first, that are not on record yet. */
  record(layers: readonly LayerRecord[]): void {
    for (const layer of layers) this.#insertLayer(layer)
  }

  /** Removes an image and all its names. */
  remove(id: Digest): NamesChanged {
    const { changes } = this.#sql.run('DELETE FROM images WHERE id = ?', id)
    return { names: [], gone: changes === 0 ? [] : [id] }
  }

  /** The same for one without a pin that stands `now`, last used at `usedAt` or before. */
  removeIdle(id: Digest, usedAt: Date, now: Date): NamesChanged {
    const sql = `DELETE FROM images WHERE id = ? AND coalesce(used_at, pulled_at) <= ?
       AND NOT EXISTS (SELECT 1 FROM pins WHERE pins.image = images.id AND (until IS NULL OR until > ?))`
    const { changes } = this.#sql.run(sql, id, usedAt.getTime(), now.getTime())
    return { names: [], gone: changes === 0 ? [] : [id] }
  }

  /**
   * Removes a tag. With the last tag of a repository go the digest names that came along with it; with its last name goes the image.
   */
  untag(tag: string): NamesChanged {
    const id = this.#imageOf(tag)
    if (id === undefined) return { names: [], gone: [] }
    this.#sql.run('DELETE FROM tags WHERE name = ?', tag)
    this.#dropUnaskedDigests(id, repositoryOf(tag))
    const left = this.#namesOf(id)
    if (left.tags.length + left.digests.length > 0) return { names: [left], gone: [] }
    this.#sql.run('DELETE FROM images WHERE id = ?', id)
    return { names: [], gone: [id] }
  }

  used(image: Digest, at: Date): void {
    this.#sql.run('UPDATE images SET used_at = ? WHERE id = ?', at.getTime(), image)
  }

  /** Forgets images and layers, in any order. */
  forget(images: readonly string[], layers: readonly string[]): void {
    this.#db.exec('PRAGMA defer_foreign_keys = ON')
    for (const id of images) this.#sql.run('DELETE FROM images WHERE id = ?', id)
    for (const id of layers) this.#sql.run('DELETE FROM layers WHERE id = ?', id)
  }

  /** An image as it is recorded, without its names. */
  image(id: Digest): ImageRecord | undefined {
    return this.#sql.parsed(imageRow, 'SELECT * FROM images WHERE id = ?', id).good[0]
  }

  /**
   * What each image is to be called by others: no two share a name. Its tags, newest first; and a digest name where somebody pulled by
   * that digest, or where no tag of the repository is left. Of several images with one digest name (an index's, say), it is the newest's.
   */
  uniqueNames(): ReadonlyMap<Digest, readonly string[]> {
    const names = new Map<Digest, string[]>()
    const repositories = new Map<Digest, Set<string>>()
    for (const [name, image] of this.#allNames('tags', '1')) {
      names.set(image, [...(names.get(image) ?? []), name])
      repositories.set(image, (repositories.get(image) ?? new Set()).add(repositoryOf(name)))
    }
    const taken = new Set<string>()
    for (const [name, image, asked] of this.#allNames('digests', 'asked')) {
      const isTagged = repositories.get(image)?.has(repositoryOf(name)) ?? false
      if (taken.has(name) || (asked === 0 && isTagged)) continue
      taken.add(name)
      names.set(image, [...(names.get(image) ?? []), name])
    }
    return names
  }

  /** Records what is known against a layer; undefined: nothing. */
  mark(layer: LayerId, damage: Damage | undefined): void {
    const text = damage === undefined ? null : JSON.stringify({ ...damage, foundAt: damage.foundAt.getTime() })
    this.#sql.run('UPDATE layers SET damage = ? WHERE id = ?', text, layer)
  }

  /** A layer has a new tree. */
  replaced(layer: LayerId, { usedBytes, inodesUsed, owners }: Pick<LayerRecord, 'usedBytes' | 'inodesUsed' | 'owners'>): void {
    this.#sql.run(
      'UPDATE layers SET damage = NULL, used_bytes = ?, inodes_used = ?, owners = ? WHERE id = ?',
      usedBytes,
      inodesUsed,
      owners === undefined ? null : JSON.stringify(owners),
      layer,
    )
  }

  /** How many changes were counted. */
  edition(): number {
    return editionRow.parse(this.#sql.row('SELECT number FROM edition')).number
  }

  /** Counts as many as were counted elsewhere. */
  raiseEdition(number: number): void {
    this.#sql.run('UPDATE edition SET number = max(number, ?)', number)
  }

  /** Counts one more, and returns how many that makes. */
  countEdition(): number {
    this.#sql.run('UPDATE edition SET number = number + 1')
    return this.edition()
  }

  /** Runs `work` in one transaction: all of it is on disk when this returns, or none of it. Throws no-space, system. */
  transaction<T>(work: () => T): T {
    return transaction(this.#db, this.#file, work)
  }

  /** Runs a part of a transaction's work that may fail alone: nothing of it is left then, and the rest goes on. */
  attempt<T>(part: () => T): T | WindlassError {
    return attempt(this.#db, this.#file, part)
  }

  close(): void {
    this.#db.close()
  }

  #insertLayer({ id, diffId, parent, facts, owners, usedBytes, inodesUsed, committedAt }: LayerRecord): void {
    this.#sql.run(
      `INSERT INTO layers (id, diff_id, parent, diff_size, entries, whiteouts, used_bytes, inodes_used, committed_at, blob, owners)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
      id,
      diffId,
      parent ?? null,
      facts.diffSize,
      facts.entries,
      facts.whiteouts,
      usedBytes,
      inodesUsed,
      committedAt.getTime(),
      facts.blob === undefined ? null : JSON.stringify(blobOf(facts.blob)),
      owners === undefined ? null : JSON.stringify(owners),
    )
  }

  /** An image that is here stays where it is in the order of pulls. */
  #upsertImage(image: NewImage, now: Date): void {
    this.#sql.run(
      `INSERT INTO images (id, top_layer, manifest, config, config_bytes, manifest_bytes, index_bytes, layers, pulled_at, used_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, manifest_bytes = excluded.manifest_bytes,
         index_bytes = coalesce(excluded.index_bytes, index_bytes), layers = excluded.layers, used_at = excluded.used_at`,
      image.id,
      layerIds(image.config.diffIds).at(-1) ?? null,
      JSON.stringify(image.manifest),
      JSON.stringify(image.config),
      image.configBytes,
      image.manifestBytes,
      image.indexBytes ?? null,
      JSON.stringify(image.layers),
      now.getTime(),
      now.getTime(),
    )
  }

  #dropUnaskedDigests(image: Digest, repository: string): void {
    const { tags, digests } = this.#namesOf(image)
    if (tags.some((tag) => repositoryOf(tag) === repository)) return
    for (const name of digests) {
      if (repositoryOf(name) !== repository) continue
      this.#sql.run('DELETE FROM digests WHERE name = ? AND image = ? AND asked = 0', name, image)
    }
  }

  #imageOf(tag: string): Digest | undefined {
    return this.#names('SELECT name, image FROM tags WHERE name = ?', tag)[0]?.image
  }

  #isAsked(digest: string, image: Digest): boolean {
    return this.#names('SELECT name, image FROM digests WHERE name = ? AND image = ? AND asked = 1', digest, image).length > 0
  }

  #namesOf(image: Digest): ImageNames {
    const named = (table: 'tags' | 'digests'): string[] =>
      this.#names(`SELECT name, image FROM ${table} WHERE image = ? ORDER BY rowid`, image).map(({ name }) => name)
    return { image, tags: named('tags'), digests: named('digests') }
  }

  /** All names in one row, newest first: thousands of rows take their time. */
  #allNames(table: 'tags' | 'digests', asked: string): z.infer<typeof allNamesRow>['names'] {
    const sql = `SELECT json_group_array(json_array(name, image, ${asked}) ORDER BY rowid DESC) AS names FROM ${table}`
    return allNamesRow.parse(this.#sql.row(sql)).names
  }

  #names(sql: string, ...values: string[]): z.infer<typeof nameRow>[] {
    return this.#sql.rows(sql, ...values).map((row) => nameRow.parse(row))
  }
}

/** `host/repository` of a tag or digest name in normal form: what stands before the `@`, or the last colon (a port's comes earlier). */
export function repositoryOf(name: string): string {
  const at = name.indexOf('@')
  return name.slice(0, at === -1 ? name.lastIndexOf(':') : at)
}

/** Annotations are the manifest's to keep. */
const blobOf = ({ mediaType, digest, size }: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>): object => ({
  mediaType,
  digest,
  size,
})
