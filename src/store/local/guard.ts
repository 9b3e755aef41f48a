/** Asks, before layers go, whether podman or CRI-O has built on them. */
import { isLayerId, type LayerId } from '../../oci/digest.ts'
import type { StoreLog } from '../common/log.ts'
import type { Holders } from '../store.ts'
import { type Adopted, adoptedLayers } from './adopted.ts'
import type { Catalogue } from './catalogue.ts'
import type { Layout } from './layout.ts'
import { lockOutReaders } from './reader-lock.ts'

/** Which of the layers asked for may go, in the order they were asked for. `busy`: somebody reads just now, ask again. */
export type Withdrawable =
  | { readonly kind: 'busy' }
  | { readonly kind: 'asked'; readonly free: readonly LayerId[]; readonly kept: readonly LayerId[] }

/** An answer that holds for as long as nobody can read: until it is disposed. */
export type Asked = Disposable & { readonly answer: Withdrawable }

export class Guard {
  readonly #at: Layout
  readonly #catalogue: Catalogue
  readonly #roots: readonly string[] | undefined
  readonly #log: StoreLog
  #kept: ReadonlySet<LayerId> = new Set()
  #complaint: string | undefined

  constructor(at: Layout, catalogue: Catalogue, roots: readonly string[] | undefined, log: StoreLog) {
    this.#at = at
    this.#catalogue = catalogue
    this.#roots = roots
    this.#log = log
  }

  /** What other stores need; says so in the log where it cannot be told, once for each reason. */
  look(): Adopted {
    const adopted = adoptedLayers(this.#at.root, this.#roots)
    const complaint = adopted.kind === 'unknown' ? `${adopted.file}: ${adopted.reason}` : undefined
    if (adopted.kind === 'unknown' && complaint !== this.#complaint)
      this.#log.warn(
        { file: adopted.file, reason: adopted.reason },
        'no layer is removed: this file does not say which of them another store uses',
      )
    this.#complaint = complaint
    return adopted
  }

  /** Of the layers that others can know of, those that they build on. */
  adopted(): Holders['adopted'] {
    const adopted = this.look()
    if (adopted.kind === 'unknown') return { kind: 'unknown', why: `${adopted.file}: ${adopted.reason}` }
    return { kind: 'known', layers: new Set([...this.#needed(adopted, [])].filter(isLayerId)) }
  }

  /**
   * A reader holds a lock from the moment it has found what to build on until its own record names it: that of layers.json for a layer
   * of its own (store.go, `PutLayer`), that of images.json for a container (`CreateContainer`). So with both held here, either that
   * record is there to be seen, or the reader will find the layer gone.
   */
  ask(layers: readonly LayerId[]): Asked {
    const known = layers.filter((id) => this.#catalogue.layer(id) !== undefined)
    // No reader can know of layers that were never listed.
    if (known.length === 0) return { answer: { kind: 'asked', free: layers, kept: [] }, [Symbol.dispose]: () => {} }
    using held = new DisposableStack()
    for (const lock of this.#catalogue.locks) {
      if (held.use(lockOutReaders(lock)) === undefined) return { answer: { kind: 'busy' }, [Symbol.dispose]: () => {} }
    }
    const needed = this.#needed(this.look(), known)
    const kept = layers.filter((id) => needed.has(id))
    this.#tell(kept)
    const answer = { kind: 'asked' as const, free: layers.filter((id) => !needed.has(id)), kept }
    const open = held.move()
    return { answer, [Symbol.dispose]: () => open.dispose() }
  }

  /** What is adopted, and all below it. */
  #needed(adopted: Adopted, known: readonly LayerId[]): ReadonlySet<string> {
    if (adopted.kind === 'unknown') return new Set(known)
    const needed = new Set<string>()
    for (const top of adopted.layers) {
      let entry = this.#catalogue.layer(top)
      while (entry !== undefined && !needed.has(entry.id)) {
        needed.add(entry.id)
        entry = entry.parent === undefined ? undefined : this.#catalogue.layer(entry.parent)
      }
    }
    return needed
  }

  #tell(kept: readonly LayerId[]): void {
    const fresh = kept.filter((id) => !this.#kept.has(id))
    this.#kept = new Set(kept)
    if (fresh.length > 0 && this.#complaint === undefined)
      this.#log.info(
        { layers: fresh },
        'no image of ours needs these layers, but another store does: they stay until it no longer does',
      )
  }
}
