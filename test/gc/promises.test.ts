import { expect, test } from 'vitest'
import { type Coming, Promises, wantedFor } from '../../src/gc/promises.ts'
import { layerIds } from '../../src/oci/digest.ts'
import { diffIdOf } from '../store/fixtures.ts'

const MIB = 2 ** 20
const idOf = (name: string) => layerIds([diffIdOf(name)])[0] ?? expect.fail()

/** A claim, in MiB; `more` is what is known beyond it. */
const coming = (name: string, likely: number, more: Partial<Coming> = {}): Coming => ({
  id: idOf(name),
  likely: likely * MIB,
  least: (likely * MIB) / 2,
  arrived: 0,
  isKnown: false,
  hasBegun: false,
  ...more,
})
const next = (...layers: Coming[]): number => wantedFor(layers).next / MIB

test('a claim alone is room to begin with; bytes that came are as much again', () => {
  expect(next(coming('a', 1e6), coming('b', 1e6))).toBe(8)
  expect(next(coming('a', 3))).toBe(3)
  expect(next(coming('a', 1e6, { hasBegun: true, arrived: 1 }))).toBe(64)
  expect(next(coming('a', 1e6, { hasBegun: true, arrived: 500 * MIB }), coming('b', 1e6))).toBe(500)
  // Not all that has come need be on the disk.
  expect(next(coming('a', 20, { hasBegun: true, arrived: 500 * MIB }))).toBe(21)
  expect(next(coming('a', 20, { hasBegun: true, arrived: 3 * MIB }))).toBe(21)
  expect(next()).toBe(0)
})

test('what was measured here is wanted in whole, until it is being copied', () => {
  expect(next(coming('a', 5000, { isKnown: true }))).toBe(5000)
  expect(next(coming('a', 5000, { isKnown: true, hasBegun: true }), coming('b', 3, { hasBegun: true }))).toBe(8)
})

test('what several pulls wait for counts once, and no longer than they wait; what has come no more', () => {
  const promises = new Promises()
  let left = 100
  using _first = promises.add(() => [coming('base', left), coming('one', 10)])
  {
    using _second = promises.add(() => [coming('base', left), coming('two', 20)])
    expect(promises.wanted()).toMatchObject({ likely: 130 * MIB, least: 65 * MIB })
    left = 40
    expect(promises.wanted()).toMatchObject({ likely: 70 * MIB, least: 35 * MIB })
  }
  expect(promises.wanted()).toMatchObject({ likely: 50 * MIB })
})

test('what is likely of a pull is no more than was to be had, and no less than its least', () => {
  const promises = new Promises()
  using promised = promises.add(() => [coming('a', 1000), coming('b', 1000)])
  promised.atMost = 1500 * MIB
  expect(promises.wanted()).toMatchObject({ likely: 1500 * MIB, least: 1000 * MIB })
  promised.atMost = 900 * MIB
  expect(promises.wanted().likely).toBe(1000 * MIB)
})
