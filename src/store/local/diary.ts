/** When images were last in use, and who pulled what was here: written down by and by, because it is asked for seldom. */
import { failureOf } from '../../failure/failure.ts'
import type { Digest } from '../../oci/digest.ts'
import type { StoreLog } from '../common/log.ts'
import type { Receipt } from '../receipts.ts'

/** What a crash may forget. */
const LATEST_MS = 60_000
/** As many receipts are written at once. */
const MAX_RECEIPTS_NOTED = 1_000

export type Notes = {
  readonly used: ReadonlyMap<Digest, Date>
  /** In the order they came. */
  readonly receipts: readonly { readonly image: string; readonly receipt: Receipt }[]
}

export class Diary {
  readonly #write: (notes: Notes) => Promise<unknown>
  readonly #log: StoreLog
  #used = new Map<Digest, Date>()
  #receipts: Notes['receipts'][number][] = []
  #timer: NodeJS.Timeout | undefined

  constructor(write: (notes: Notes) => Promise<unknown>, log: StoreLog) {
    this.#write = write
    this.#log = log
  }

  note(image: Digest, at: Date): void {
    this.#used.set(image, at)
    this.#writeLater()
  }

  noteReceipt(image: string, receipt: Receipt): void {
    this.#receipts.push({ image, receipt })
    if (this.#receipts.length >= MAX_RECEIPTS_NOTED) void this.flush()
    else this.#writeLater()
  }

  /** Writes what is noted; from then on nothing may be. */
  async close(): Promise<void> {
    await this.flush()
  }

  /** Writes what is noted now. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#used.size + this.#receipts.length === 0) return
    const notes = { used: this.#used, receipts: this.#receipts }
    this.#used = new Map()
    this.#receipts = []
    try {
      await this.#write(notes)
    } catch (error) {
      // The order in which images go is off by as much; what holds them is not.
      this.#log.warn(
        { failure: failureOf(error), receipts: notes.receipts.length },
        'when images were last used, and who pulled them again, could not be written down',
      )
    }
  }

  #writeLater(): void {
    this.#timer ??= setTimeout(() => void this.flush(), LATEST_MS).unref()
  }
}
