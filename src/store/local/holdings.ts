/** What is here, what holds it, and what may go: this store decides that itself. */
import type { Digest } from '../../oci/digest.ts'
import { isPinned, standing } from '../pins.ts'
import type { Holdings, Inventory, StoredImage } from '../store.ts'
import type { Diary } from './diary.ts'
import type { Layers, Threads } from './layers.ts'
import type { Leases } from './leases.ts'
import type { View } from './view.ts'

export type HoldingsParts = Threads & { readonly leases: Leases; readonly layers: Layers; readonly diary: Diary }

export class LocalHoldings implements Holdings {
  readonly #view: View
  readonly #parts: HoldingsParts

  constructor(view: View, parts: HoldingsParts) {
    this.#view = view
    this.#parts = parts
  }

  look(): Promise<Inventory> {
    return this.#parts.layers.look()
  }

  used(ids: readonly Digest[]): void {
    const now = new Date()
    for (const id of ids) if (this.#view.used(id, now)) this.#parts.diary.note(id, now)
  }

  /** What memory knows is asked here, at once, the newest use among it; what is on its way to the keeper already, there. */
  async removeIdle({ id, usedAt }: StoredImage): Promise<boolean> {
    const { leases, keeper } = this.#parts
    const now = this.#view.find(id)
    if (now === undefined || now.usedAt.getTime() !== usedAt.getTime() || isPinned(now)) return false
    return await leases.leave(now, async () => {
      const changed = await keeper.call('removeIdle', { image: id, usedAt })
      this.#view.change(changed)
      return changed.gone.length > 0
    })
  }

  async expirePins(): Promise<void> {
    const now = new Date()
    if (this.#view.expired(now).length === 0) return
    await this.#parts.keeper.call('expirePins', now)
    for (const id of this.#view.expired(now)) this.#view.setPins(id, standing(this.#view.pins(id), now))
  }

  unlinked(): Promise<void> {
    return this.#parts.sweeper.idle()
  }
}
