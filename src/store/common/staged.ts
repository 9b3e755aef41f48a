import type { DiffId } from '../../oci/digest.ts'
import type { StagedLayer } from '../store.ts'

/** A layer being unpacked; it goes into the trash when it is disposed before it was moved to its place. */
export class Staged implements StagedLayer {
  readonly name: string
  #dir: string
  readonly diffId: DiffId
  /** How many syncs had failed when this was begun. */
  readonly lostBefore: number
  readonly #discard: (dir: string) => Promise<void>
  #here = true

  constructor(name: string, dir: string, diffId: DiffId, lostBefore: number, discard: (dir: string) => Promise<void>) {
    this.name = name
    this.#dir = dir
    this.diffId = diffId
    this.lostBefore = lostBefore
    this.#discard = discard
  }

  get dir(): string {
    return this.#dir
  }

  /** It is thrown away from there. */
  movedTo(dir: string): void {
    this.#dir = dir
  }

  /** It is in its place, and no longer to be thrown away. */
  moved(): void {
    this.#here = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#here) return
    this.#here = false
    await this.#discard(this.#dir)
  }
}
