/**
 * Pins on containerd's records. The CRI plugin's own label is what keeps kubelet's collection away, where the plugin shows it (containerd 1.7 and newer);
 * it knows no owners, and so each owner has a label of ours beside it, on every record of the image. The plugin's goes with the last of ours, unless
 * somebody else had set it.
 */
import { fail } from '../../failure/failure.ts'
import type { Digest } from '../../oci/digest.ts'
import { MAX_PINS, type Pin } from '../pins.ts'
import type { Catalog, Named } from './catalog.ts'
import type { RecordExpiries } from './expiries.ts'
import { PIN, PINNED } from './names.ts'
import type { Names } from './naming.ts'
import { OTHERS, pinsOf } from './pin-labels.ts'

export class RecordPins {
  readonly #catalog: Catalog
  readonly #names: Names
  readonly #expiries: RecordExpiries

  constructor(catalog: Catalog, names: Names, expiries: RecordExpiries) {
    this.#catalog = catalog
    this.#names = names
    this.#expiries = expiries
  }

  /** An image that is pinned for good loses the time it was to go by; one that is pinned until a time does not go before. */
  async pin(id: Digest, { owner, reason, since, until }: Pin): Promise<boolean> {
    const records = await this.#catalog.recordsOf(id)
    const pins = pinsOf(records)
    if (pins.length >= MAX_PINS && !pins.some((pin) => pin.owner === owner))
      fail({ kind: 'invalid-argument', what: 'pin', reason: `${MAX_PINS} stand on this image already; take one back first` })
    let isHere = false
    for (const { name, pinned } of records) {
      const text = JSON.stringify({
        reason,
        since,
        ...(until === undefined ? {} : { until }),
        ...(pinned ? { others: true } : {}),
      })
      if (await this.#names.label(name, { [PIN + owner]: text, ...PINNED })) isHere = true
    }
    return isHere && (await this.#expiries.atLeast(id, until))
  }

  async unpin(id: Digest, owner?: string): Promise<readonly Pin[]> {
    const records = await this.#catalog.recordsOf(id)
    const isMeant = (pin: Pin): boolean => owner === undefined || pin.owner === owner
    for (const record of records) await this.#take(record, isMeant)
    return pinsOf(records).filter((pin) => pin.owner !== OTHERS && isMeant(pin))
  }

  /** Takes away those whose time is over: containerd knows no such times, and nobody else looks. */
  async expire(): Promise<void> {
    const now = new Date()
    for (const record of await this.#catalog.records())
      await this.#take(record, ({ until }) => until !== undefined && until <= now)
  }

  async #take({ name, pins, pinned }: Named, isMeant: (pin: Pin) => boolean): Promise<void> {
    const going = pins.filter(isMeant)
    if (going.length === 0) return
    const labels = going.map(({ owner }) => [PIN + owner, ''] as const)
    const isLast = going.length === pins.length && !pinned
    const plugins = isLast ? Object.keys(PINNED).map((label) => [label, ''] as const) : []
    await this.#names.label(name, Object.fromEntries([...labels, ...plugins]))
  }
}
