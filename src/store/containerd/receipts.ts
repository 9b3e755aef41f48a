/**
 * The receipts of images in containerd: a file for each, below our own root. containerd's labels are for what containerd and its other
 * clients go by, and each change of one is an event to all of them; these are for this node's operator.
 *
 * The runtime removes images without telling us, so what is older than the image's own record is of an earlier one, and of
 * many files the oldest go at the next opening. Nothing is synced: what a power cut takes of it is told as lost.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asWindlassError, failureOf } from '../../failure/failure.ts'
import type { Digest } from '../../oci/digest.ts'
import type { StoreLog } from '../common/log.ts'
import { receiptsIn, receiptsText, type WrittenReceipts } from '../common/receipts-text.ts'
import { type Receipt, type ReceiptBook, type Receipts, withReceipt } from '../receipts.ts'

/** Of some hundred bytes each. */
const MAX_FILES = 4_096

export class ReceiptFiles implements ReceiptBook, AsyncDisposable {
  readonly #dir: string
  readonly #log: StoreLog
  /** One change after the other. */
  #changes: Promise<void> = Promise.resolve()

  constructor(dir: string, log: StoreLog) {
    this.#dir = dir
    this.#log = log
  }

  /** A pull has published this image, which is new where its record was made after `began`. */
  published({ id, pulledAt }: { readonly id: Digest; readonly pulledAt: Date }, began: Date, receipt: Receipt): void {
    const now = { ...receipt, at: new Date() }
    this.#change(id, (before) =>
      pulledAt >= began ? withReceipt({ receipts: [], since: pulledAt }, now) : { ...before, ...withReceipt(before, now) },
    )
  }

  note(image: string, receipt: Receipt): void {
    this.#change(image, (before) => ({ ...before, ...withReceipt(before, receipt) }))
  }

  /** The image was taken away for a repair and is here again: what was known of it then is known now, before whoever has pulled it since. */
  carry({ id, pulledAt }: { readonly id: Digest; readonly pulledAt: Date }, { receipts, since }: Receipts): void {
    this.#change(id, (now) => {
      const own = now.receipts.filter(({ at }) => at >= pulledAt)
      const before = { receipts, ...(since === undefined ? {} : { since }) }
      return { ...own.toReversed().reduce(withReceipt, before), carriedTo: pulledAt }
    })
  }

  async of({ id, pulledAt }: { readonly id: string; readonly pulledAt: Date }): Promise<Receipts> {
    await this.#changes
    const { receipts, since, carriedTo } = await this.#read(id)
    const from = carriedTo === undefined || carriedTo < pulledAt ? pulledAt : new Date(0)
    const own = receipts.filter(({ at }) => at >= from)
    return { receipts: own, ...(since === undefined || since < from ? {} : { since }) }
  }

  /** Drops the files that were not written for longest, where there are too many: most are of images that are no more. */
  async trim(most = MAX_FILES): Promise<void> {
    try {
      const names = await readdir(this.#dir)
      if (names.length <= most) return
      const aged = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(this.#dir, name))).mtimeMs })))
      const oldest = aged.toSorted((a, b) => a.at - b.at).slice(0, names.length - most)
      for (const { name } of oldest) await rm(join(this.#dir, name))
    } catch (error) {
      if (!isAbsent(error))
        this.#log.warn({ failure: failureOf(error) }, 'receipts of images that are no more could not be removed')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#changes
  }

  /** A pull that has done its work does not fail for want of a receipt. */
  #change(image: string, change: (before: WrittenReceipts) => WrittenReceipts): void {
    this.#changes = this.#changes.then(async () => {
      const file = join(this.#dir, nameOf(image))
      try {
        const after = change(await this.#read(image))
        await mkdir(this.#dir, { recursive: true, mode: 0o700 })
        await writeFile(`${file}.new`, receiptsText(after), { mode: 0o600 })
        await rename(`${file}.new`, file)
      } catch (error) {
        this.#log.warn({ image, failure: failureOf(error) }, 'who pulled this image could not be written down')
      }
    })
  }

  async #read(image: string): Promise<WrittenReceipts> {
    try {
      return receiptsIn(await readFile(join(this.#dir, nameOf(image)), 'utf8')) ?? { receipts: [] }
    } catch (error) {
      if (isAbsent(error)) return { receipts: [] }
      throw asWindlassError(error)
    }
  }
}

const nameOf = (image: string): string => `${image.replace(/^sha256:/, '')}.json`

function isAbsent(error: unknown): boolean {
  const failure = failureOf(error)
  return failure.kind === 'system' && failure.code === 'ENOENT'
}
