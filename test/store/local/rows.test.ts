/** Rows become values one by one, thousands as well as a few. */
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { imageRow, layerRow, nameRow, pinRow } from '../../../src/store/local/records.ts'
import { Statements } from '../../../src/store/local/statements.ts'

test('what is damaged is found among many, by its id', () => {
  const db = new DatabaseSync(':memory:')
  db.exec('CREATE TABLE things (id TEXT, size ANY)')
  const insert = db.prepare('INSERT INTO things VALUES (?, ?)')
  const damaged = new Set([3, 199, 200, 201, 777, 1_999])
  for (let i = 0; i < 2_000; i++) insert.run(`thing ${i}`, damaged.has(i) ? 'large' : i)
  const thing = z.object({ id: z.string(), size: z.int().transform((size) => size * 2) })
  const { good, bad } = new Statements(db).parsed(thing, 'SELECT * FROM things ORDER BY rowid')
  expect(bad).toEqual([...damaged].map((i) => `thing ${i}`))
  expect(good).toEqual(
    Array.from({ length: 2_000 }, (_, i) => ({ id: `thing ${i}`, size: 2 * i })).filter((_, i) => !damaged.has(i)),
  )
  db.close()
})

test.each(Object.entries({ imageRow, layerRow, nameRow, pinRow }))('%s can be compiled', (_, schema: z.ZodType) => {
  expect(() => z.compile(schema, { strict: true })).not.toThrow()
})
