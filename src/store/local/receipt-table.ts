/** Who has pulled what, on record. Those of its verbs that write are for a transaction's work. */
import { receiptsIn, receiptsText } from '../common/receipts-text.ts'
import { type Receipt, type Receipts, withReceipt } from '../receipts.ts'
import { receiptsRow } from './records.ts'
import type { Statements } from './statements.ts'

export class ReceiptTable {
  readonly #sql: Statements

  constructor(sql: Statements) {
    this.#sql = sql
  }

  /** Undefined where nothing of that is known. */
  of(image: string): Receipts | undefined {
    const row = this.#sql.row('SELECT kept FROM receipts WHERE image = ?', image)
    return row === undefined ? undefined : receiptsIn(receiptsRow.parse(row).kept)
  }

  /** An image that has gone meanwhile has no receipts. */
  note(image: string, receipt: Receipt): void {
    if (this.#sql.row('SELECT 1 FROM images WHERE id = ?', image) !== undefined) this.keep(image, receipt)
  }

  /** Adds it to those on record, or to these. */
  keep(image: string, receipt: Receipt, before: Receipts = this.of(image) ?? { receipts: [] }): void {
    const kept = receiptsText(withReceipt(before, receipt))
    this.#sql.run('INSERT OR REPLACE INTO receipts (image, kept) VALUES (?, ?)', image, kept)
  }
}
