import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

it('every row of the corpus, T1 to T57, is a test of that name', () => {
  const names = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.test.ts') && file !== 'rows.test.ts')
    .flatMap((file) => readFileSync(`${import.meta.dirname}/${file}`, 'utf8').match(/['[`"]T\d+ /g) ?? [])
    .map((name) => Number.parseInt(name.slice(2), 10))
  expect([...new Set(names)].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 57 }, (_, i) => i + 1))
})
