/** The database's statements as verbs. Each writing verb is one transaction and returns the names it changed. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { z } from 'zod'
import { type Digest, layerIds } from '../../oci/digest.ts'
import type { NewImage } from '../store.ts'
import { transaction } from './database.ts'
import { type ImageNames, type ImageRecord, imageRow, type LayerRecord, layerRow, nameRow } from './records.ts'

/** Everything at once, for the start. `unreadable` lists ids of rows that are not what they must be. */
export type Loaded = {
  readonly layers: readonly LayerRecord[]
  readonly images: readonly { readonly image: ImageRecord; readonly names: ImageNames }[]
  readonly unreadable: { readonly layers: readonly string[]; readonly images: readonly string[] }
}

/** What became of names: the full lists of every image touched, and the images that are gone. */
export type NamesChanged = { readonly names: readonly ImageNames[]; readonly gone: readonly Digest[] }

export class Ledger {
  readonly #db: DatabaseSync
  readonly #file: string
  readonly #statements = new Map<string, StatementSync>()

  constructor(db: DatabaseSync, file: string) {
    this.#db = db
    this.#file = file
  }

  load(): Loaded {
    const layers = this.#parsed(layerRow, 'SELECT * FROM layers ORDER BY rowid')
    const images = this.#parsed(imageRow, 'SELECT * FROM images ORDER BY pulled_at, rowid')
    const tags = Map.groupBy(this.#parsed(nameRow, 'SELECT name, image FROM tags ORDER BY rowid').good, ({ image }) => image)
    const digests = Map.groupBy(
      this.#parsed(nameRow, 'SELECT name, image FROM digests ORDER BY rowid').good,
      ({ image }) => image,
    )
    const namesIn = (by: typeof tags, image: Digest): string[] => by.get(image)?.map(({ name }) => name) ?? []
    return {
      layers: layers.good,
      images: images.good.map((image) => ({
        image,
        names: { image: image.id, tags: namesIn(tags, image.id), digests: namesIn(digests, image.id) },
      })),
      unreadable: { layers: layers.bad, images: images.bad },
    }
  }

  /** Records an image under its names, with those of its layers that are not recorded yet (parents first). */
  publish(image: NewImage, layers: readonly LayerRecord[], now: Date): NamesChanged {
    return this.#transaction(() => {
      for (const layer of layers) this.#insertLayer(layer)
      this.#upsertImage(image, now)
      const before = image.tag === undefined ? undefined : this.#imageOf(image.tag)
      if (image.tag !== undefined) this.#run('INSERT OR REPLACE INTO tags (name, image) VALUES (?, ?)', image.tag, image.id)
      const asked = image.tag === undefined || this.#isAsked(image.digest, image.id)
      this.#run('INSERT OR REPLACE INTO digests (name, image, asked) VALUES (?, ?, ?)', image.digest, image.id, Number(asked))
      const touched = before === undefined || before === image.id ? [image.id] : [before, image.id]
      return { names: touched.map((id) => this.#namesOf(id)), gone: [] }
    })
  }

  /** Removes an image and all its names. */
  remove(id: Digest): NamesChanged {
    return this.#transaction(() => {
      const { changes } = this.#run('DELETE FROM images WHERE id = ?', id)
      return { names: [], gone: changes === 0 ? [] : [id] }
    })
  }

  /**
   * Removes a tag. With the last tag of a repository go the digest names that came along with it; with its last name goes the image.
   */
  untag(tag: string): NamesChanged {
    return this.#transaction(() => {
      const id = this.#imageOf(tag)
      if (id === undefined) return { names: [], gone: [] }
      this.#run('DELETE FROM tags WHERE name = ?', tag)
      this.#dropUnaskedDigests(id, repositoryOf(tag))
      const left = this.#namesOf(id)
      if (left.tags.length + left.digests.length > 0) return { names: [left], gone: [] }
      this.#run('DELETE FROM images WHERE id = ?', id)
      return { names: [], gone: [id] }
    })
  }

  /** Forgets images and layers, in one transaction and in any order. */
  forget(images: readonly string[], layers: readonly string[]): void {
    if (images.length + layers.length === 0) return
    this.#transaction(() => {
      this.#db.exec('PRAGMA defer_foreign_keys = ON')
      for (const id of images) this.#run('DELETE FROM images WHERE id = ?', id)
      for (const id of layers) this.#run('DELETE FROM layers WHERE id = ?', id)
    })
  }

  close(): void {
    this.#db.close()
  }

  #insertLayer({ id, diffId, parent, facts, usedBytes, inodesUsed, committedAt }: LayerRecord): void {
    this.#run(
      `INSERT INTO layers (id, diff_id, parent, diff_size, entries, whiteouts, implied, used_bytes, inodes_used, committed_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
      id,
      diffId,
      parent ?? null,
      facts.diffSize,
      facts.entries,
      facts.whiteouts,
      JSON.stringify(facts.implied),
      usedBytes,
      inodesUsed,
      committedAt.getTime(),
    )
  }

  /** The same config can come with other manifests: the newest is kept. It stays where it is in the order of pulls. */
  #upsertImage(image: NewImage, now: Date): void {
    this.#run(
      `INSERT INTO images (id, top_layer, manifest, config, config_bytes, manifest_bytes, index_bytes, layers, pulled_at, pinned)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
       ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, manifest_bytes = excluded.manifest_bytes,
         index_bytes = coalesce(excluded.index_bytes, index_bytes), layers = excluded.layers`,
      image.id,
      layerIds(image.config.diffIds).at(-1) ?? null,
      JSON.stringify(image.manifest),
      JSON.stringify(image.config),
      image.configBytes,
      image.manifestBytes,
      image.indexBytes ?? null,
      JSON.stringify(image.layers),
      now.getTime(),
    )
  }

  #dropUnaskedDigests(image: Digest, repository: string): void {
    const { tags, digests } = this.#namesOf(image)
    if (tags.some((tag) => repositoryOf(tag) === repository)) return
    for (const name of digests) {
      if (repositoryOf(name) !== repository) continue
      this.#run('DELETE FROM digests WHERE name = ? AND image = ? AND asked = 0', name, image)
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

  #names(sql: string, ...values: string[]): z.infer<typeof nameRow>[] {
    return this.#statement(sql)
      .all(...values)
      .map((row) => nameRow.parse(row))
  }

  #parsed<T extends z.ZodType>(schema: T, sql: string): { good: z.infer<T>[]; bad: string[] } {
    const good: z.infer<T>[] = []
    const bad: string[] = []
    for (const row of this.#statement(sql).iterate()) {
      const { data, success } = schema.safeParse(row)
      if (success) good.push(data)
      else bad.push(String(row.id))
    }
    return { good, bad }
  }

  #run(sql: string, ...values: (string | number | null | Uint8Array)[]): { changes: number | bigint } {
    return this.#statement(sql).run(...values)
  }

  #transaction<T>(work: () => T): T {
    return transaction(this.#db, this.#file, work)
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

/** `host/repository` of a tag or digest name in normal form: what stands before the `@`, or the last colon (a port's comes earlier). */
function repositoryOf(name: string): string {
  const at = name.indexOf('@')
  return name.slice(0, at === -1 ? name.lastIndexOf(':') : at)
}
