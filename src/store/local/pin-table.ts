/** Pins on record. Those of its verbs that write are for a transaction's work. */
import { fail } from '../../failure/failure.ts'
import type { Digest } from '../../oci/digest.ts'
import { MAX_PINS, type Pin } from '../pins.ts'
import { countRow } from './records.ts'
import type { Statements } from './statements.ts'

export class PinTable {
  readonly #sql: Statements

  constructor(sql: Statements) {
    this.#sql = sql
  }

  /** Sets one owner's pin. False if there is no such image. Throws invalid-argument where as many stand `now` as may. */
  set(image: Digest, { owner, reason, since, until }: Pin, now: Date): boolean {
    if (!this.#isOnRecord(image)) return false
    this.#sql.run('DELETE FROM pins WHERE image = ? AND until <= ?', image, now.getTime())
    const others = countRow.parse(
      this.#sql.row('SELECT count(*) AS count FROM pins WHERE image = ? AND owner <> ?', image, owner),
    )
    if (others.count >= MAX_PINS) {
      const hint = 'take one back (windlass unpin IMAGE --owner OWNER), or let them end by themselves (--ttl)'
      fail({
        kind: 'invalid-argument',
        what: 'pin',
        reason: `${MAX_PINS} owners have this image pinned, which is the most; ${hint}`,
      })
    }
    const sql = 'INSERT OR REPLACE INTO pins (image, owner, reason, since, until) VALUES (?, ?, ?, ?, ?)'
    this.#sql.run(sql, image, owner, reason, since.getTime(), until?.getTime() ?? null)
    return true
  }

  unset(image: Digest, owner: string | undefined): void {
    if (owner === undefined) this.#sql.run('DELETE FROM pins WHERE image = ?', image)
    else this.#sql.run('DELETE FROM pins WHERE image = ? AND owner = ?', image, owner)
  }

  expire(now: Date): void {
    this.#sql.run('DELETE FROM pins WHERE until <= ?', now.getTime())
  }

  #isOnRecord(image: Digest): boolean {
    return this.#sql.row('SELECT 1 FROM images WHERE id = ?', image) !== undefined
  }
}
