/** Receipts: who pulled what is here, from whom, and when. They are kept with the image and go with it. */

export type Receipt = {
  /** Who, as a hash that says the same of the same login on this node alone; `anonymous` for nobody. Never a secret. */
  readonly identity: string
  /** `host/repository@digest` of what the reference named. */
  readonly name: string
  /** Who said so: a mirror, or the registry. */
  readonly host: string
  /** The last time, for this identity, name and host. */
  readonly at: Date
}

/** Kept of one image; those that were longest ago go first. */
export const MAX_RECEIPTS = 32

export type Receipts = {
  /** Newest first. */
  readonly receipts: readonly Receipt[]
  /** From here on none is missing; absent where what came before is lost, or was never written down. */
  readonly since?: Date
}

export interface ReceiptBook {
  /** A pull found the image here. Written down by and by: a crash may forget a minute's. */
  note(image: string, receipt: Receipt): void
  /** What is known of an image, the latest included. Throws no-space, system. */
  of(image: { readonly id: string; readonly pulledAt: Date }): Promise<Receipts>
}

/** One receipt more: in place of the one like it, or of the oldest where there are too many. */
export function withReceipt({ receipts, since }: Receipts, receipt: Receipt): Receipts {
  const isLike = (other: Receipt): boolean =>
    other.identity === receipt.identity && other.name === receipt.name && other.host === receipt.host
  const all = [receipt, ...receipts.filter((other) => !isLike(other))]
  const kept = all.slice(0, MAX_RECEIPTS)
  const from = all.length > kept.length ? kept.at(-1)?.at : since
  return { receipts: kept, ...(from === undefined ? {} : { since: from }) }
}
