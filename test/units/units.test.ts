import { expect, test } from 'vitest'
import { formatDuration, formatQuantity, parseDuration, parseQuantity } from '../../src/units/units.ts'

test.each([
  ['0', 0],
  ['100', 100],
  ['64Gi', 64 * 2 ** 30],
  ['100M', 100_000_000],
  ['1.5Ki', 1536],
  ['0.1Ki', 103],
  ['2Pi', 2 * 2 ** 50],
  ['64GB', undefined],
  ['-1', undefined],
  ['1e3', undefined],
  ['9999999999999999', undefined],
  ['Gi', undefined],
  ['', undefined],
  [' 1Gi', undefined],
])('quantity %j', (text, value) => {
  expect(parseQuantity(text)).toBe(value)
})

test.each([
  ['0', 0],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['250ms', 250],
  ['1.5s', 1500],
  ['300', undefined],
  ['5 m', undefined],
  ['m', undefined],
  ['-5m', undefined],
])('duration %j', (text, value) => {
  expect(parseDuration(text)).toBe(value)
})

test.each([0, 1, 999, 1024, 1536, 68_719_476_736, 68_719_476_737])('%d comes back from its quantity', (value) => {
  expect(parseQuantity(formatQuantity(value))).toBe(value)
})

test.each([0, 1, 999, 1000, 61_001, 300_000, 5_400_000])('%d comes back from its duration', (value) => {
  expect(parseDuration(formatDuration(value))).toBe(value)
})
