/**
 * layers.json and images.json, from which podman and CRI-O learn what is here. They repeat what the database says, and are written
 * together with it: the new files are beside the old ones before a transaction commits, and take their places after it. So a full disk
 * fails the transaction, a crash in between is mended by the next start, and no reader ever finds an image without its layers.
 *
 * Both files are written whole. Where only one changes, only that one is written.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { failureOf } from '../../failure/failure.ts'
import { type Digest, type LayerId, layerIds } from '../../oci/digest.ts'
import type { StoreLog } from '../common/log.ts'
import { type Pending, writeBeside } from './durable.ts'
import { imageText, layerEntry, type NamelessText, namedText } from './entries.ts'
import type { Layout } from './layout.ts'
import { tellReaders } from './reader-lock.ts'
import type { ImageRecord, LayerRecord } from './records.ts'

/** What a transaction changes. `images` are such as Go can read (readable.ts); the others are not shown. */
export type Change = {
  readonly layers?: readonly LayerRecord[]
  readonly images?: readonly ImageRecord[]
  readonly goneLayers?: readonly LayerId[]
  readonly goneImages?: readonly Digest[]
  /** The names of all images, because one image's may be another's afterwards. Absent where layers alone change. */
  readonly names?: ReadonlyMap<Digest, readonly string[]>
}

/** Contents for the two files, on disk beside them. Disposing it before `show` leaves everything as it was. */
export interface Edition extends Disposable {
  /** Puts the files in their places and tells the readers. It does not throw: what fails is logged, and made good by the next change. */
  show(): void
}

/** A layer that is listed, and its entry. */
export type ListedLayer = { readonly id: LayerId; readonly parent?: LayerId; readonly text: string }

/** Texts are made once: with thousands of entries, that is most of the work of a change. */
type Entries = {
  readonly layers: ReadonlyMap<string, ListedLayer>
  readonly images: ReadonlyMap<Digest, NamelessText>
  readonly names: ReadonlyMap<Digest, readonly string[]>
}

const FILES = ['layers', 'images'] as const
type File = (typeof FILES)[number]
type Files<T> = Readonly<Record<File, T>>

export class Catalogue {
  readonly #json: Files<string>
  readonly #locks: Files<string>
  readonly #log: StoreLog
  #entries: Entries = { layers: new Map(), images: new Map(), names: new Map() }
  /** Whether a file is known to say what `#entries` says. */
  #isShown: Files<boolean> = { layers: false, images: false }
  #bytes: Files<number> = { layers: 0, images: 0 }

  constructor(at: Layout, log: StoreLog) {
    this.#json = { layers: join(at.layers, 'layers.json'), images: join(at.images, 'images.json') }
    this.#locks = { layers: join(at.layers, 'layers.lock'), images: join(at.images, 'images.lock') }
    this.#log = log
  }

  /** The lock files that readers hold. */
  get locks(): readonly string[] {
    return FILES.map((which) => this.#locks[which])
  }

  /** How large the two files are together. */
  get bytes(): number {
    return this.#bytes.layers + this.#bytes.images
  }

  /** A layer that readers may know of. */
  layer(id: string): ListedLayer | undefined {
    return this.#entries.layers.get(id)
  }

  /**
   * At the start: makes the files say what the database says, whatever they say now, and has the readers look. A disk too full for that is
   * no reason not to start: it is what removals are needed for.
   */
  restore(change: Change): void {
    this.#entries = this.#after(change)
    const texts = { layers: Buffer.from(TEXT.layers(this.#entries)), images: Buffer.from(TEXT.images(this.#entries)) }
    this.#bytes = { layers: texts.layers.length, images: texts.images.length }
    try {
      using written = new DisposableStack()
      const differing = FILES.filter((which) => !contentsOf(this.#json[which])?.equals(texts[which]))
      const pending = differing.map((which) => written.use(writeBeside(this.#json[which], texts[which])))
      for (const each of pending) each.place()
      for (const which of FILES) tellReaders(this.#locks[which])
      this.#isShown = { layers: true, images: true }
    } catch (error) {
      this.#complain(error)
    }
  }

  /** Throws no-space, system. */
  prepare(change: Change): Edition {
    const entries = this.#after(change)
    const changes: Files<boolean> = {
      layers: (change.layers ?? []).length + (change.goneLayers ?? []).length > 0,
      images: change.names !== undefined,
    }
    using written = new DisposableStack()
    const pending = FILES.filter((which) => changes[which] || !this.#isShown[which]).map((which) => ({
      which,
      file: written.use(this.#write(which, entries)),
    }))
    const kept = written.move()
    return {
      show: () => {
        this.#entries = entries
        this.#replace(pending)
      },
      [Symbol.dispose]: () => kept.dispose(),
    }
  }

  #write(which: File, entries: Entries): Pending {
    const text = Buffer.from(TEXT[which](entries))
    this.#bytes = { ...this.#bytes, [which]: text.length }
    return writeBeside(this.#json[which], text)
  }

  #after({ layers = [], images = [], goneLayers = [], goneImages = [], names = this.#entries.names }: Change): Entries {
    const after = { layers: new Map(this.#entries.layers), images: new Map(this.#entries.images), names }
    for (const layer of layers) after.layers.set(layer.id, this.#entries.layers.get(layer.id) ?? listed(layer))
    for (const image of images) after.images.set(image.id, imageText(image, layerIds(image.config.diffIds).at(-1)))
    for (const id of goneLayers) after.layers.delete(id)
    for (const id of goneImages) after.images.delete(id)
    return after
  }

  /** Layers before images, and each with its readers told: no image is ever shown before its layers. */
  #replace(pending: readonly { readonly which: File; readonly file: Pending }[]): void {
    try {
      for (const { which, file } of pending) {
        this.#isShown = { ...this.#isShown, [which]: false }
        file.place()
        tellReaders(this.#locks[which])
        this.#isShown = { ...this.#isShown, [which]: true }
      }
    } catch (error) {
      this.#complain(error)
    }
  }

  #complain(error: unknown): void {
    this.#isShown = { layers: false, images: false }
    this.#log.error(
      { failure: failureOf(error) },
      'podman and CRI-O do not see what is here as it is; the next change shows them all of it',
    )
  }
}

const TEXT: Files<(entries: Entries) => string> = {
  layers: ({ layers }) => textOf([...layers.values()].map(({ text }) => text)),
  images: ({ images, names }) => textOf([...images].map(([id, text]) => namedText(text, names.get(id)))),
}

const listed = (layer: LayerRecord): ListedLayer => ({
  id: layer.id,
  ...(layer.parent === undefined ? {} : { parent: layer.parent }),
  text: JSON.stringify(layerEntry(layer)),
})

/** An entry a line, so that a person can read it too. */
const textOf = (entries: readonly string[]): string => `[${entries.join(',\n')}]`

/** Nothing, where the file is not there or cannot be read: it is written anew. */
function contentsOf(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
