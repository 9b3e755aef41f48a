/** SQL, prepared once each; rows are checked here. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { z } from 'zod'

export type Value = string | number | null | Uint8Array
type Row = ReturnType<StatementSync['get']>

/** Compiling a schema takes as long as parsing some hundreds of rows without, and halves what each takes. */
const FEW_ROWS = 200

export class Statements {
  readonly #db: DatabaseSync
  readonly #prepared = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  /** The rows that are what they must be, and the ids of the others. */
  parsed<T extends z.ZodType>(schema: T, sql: string, ...values: string[]): { good: z.infer<T>[]; bad: string[] } {
    const good: z.infer<T>[] = []
    const bad: string[] = []
    let parser = schema
    let rows = 0
    for (const row of this.#prepare(sql).iterate(...values)) {
      if (rows++ === FEW_ROWS) parser = z.compile(schema)
      const { data, success } = parser.safeParse(row)
      if (success) good.push(data)
      else bad.push(String(row.id))
    }
    return { good, bad }
  }

  row(sql: string, ...values: Value[]): Row {
    return this.#prepare(sql).get(...values)
  }

  rows(sql: string, ...values: Value[]): NonNullable<Row>[] {
    return this.#prepare(sql).all(...values)
  }

  run(sql: string, ...values: Value[]): { changes: number | bigint } {
    return this.#prepare(sql).run(...values)
  }

  #prepare(sql: string): StatementSync {
    const known = this.#prepared.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    this.#prepared.set(sql, statement)
    return statement
  }
}
