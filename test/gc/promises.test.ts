import { expect, test } from 'vitest'
import { Promises, wantedFor } from '../../src/gc/promises.ts'
import { layerIds } from '../../src/oci/digest.ts'
import type { ComingLayer } from '../../src/store/coming.ts'
import { diffIdOf } from '../store/fixtures.ts'

const MIB = 2 ** 20
const idOf = (name: string) => layerIds([diffIdOf(name)])[0] ?? expect.fail()

/** A claim, in MiB; `more` is what is known beyond it. */
const coming = (name: string, likely: number, more: Partial<ComingLayer> = {}): ComingLayer => ({
  id: idOf(name),
  likely: likely * MIB,
  least: (likely * MIB) / 2,
  arrived: 0,
  hasBegun: false,
  isDue: false,
  ...more,
})
const next = (...layers: ComingLayer[]): number => wantedFor(layers).next / MIB

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

test('a copy is wanted in whole when its turn has come, and neither before nor after', () => {
  expect(next(coming('a', 5000))).toBe(8)
  expect(next(coming('a', 5000, { isDue: true }), coming('b', 5000))).toBe(5000)
})

test('whether a layer is due is said by the pulls that wait for it', () => {
  const promises = new Promises()
  using _one = promises.add(() => [coming('a', 10), coming('b', 10)])
  expect(promises.isDue(idOf('a'))).toBe(false)
  using _two = promises.add(() => [coming('a', 10, { isDue: true })])
  expect([promises.isDue(idOf('a')), promises.isDue(idOf('b'))]).toEqual([true, false])
  expect(promises.wanted().next).toBe(10 * MIB)
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

test('a claim keeps others out for a minute, and after that as far as bytes bear it out', () => {
  let now = 0
  const promises = new Promises(() => now)
  let arrived = 0
  using _slow = promises.add(() => [coming('a', 1000, { arrived: arrived * MIB }), coming('b', 1000)])
  expect(promises.wanted().least).toBe(1000 * MIB)
  now = 60_001
  expect(promises.wanted().least).toBe(64 * MIB)
  arrived = 20
  expect(promises.wanted().least).toBe(160 * MIB)
  {
    // Who has just come counts in full, what both wait for too.
    using _new = promises.add(() => [coming('a', 1000)])
    expect(promises.wanted().least).toBe((500 + 80) * MIB)
  }
  arrived = 500
  expect(promises.wanted()).toMatchObject({ least: 1000 * MIB, likely: 2000 * MIB })
})

test('what is likely of a pull is no more than was to be had, and no less than its least', () => {
  const promises = new Promises()
  using promised = promises.add(() => [coming('a', 1000), coming('b', 1000)])
  promised.atMost = 1500 * MIB
  expect(promises.wanted()).toMatchObject({ likely: 1500 * MIB, least: 1000 * MIB })
  promised.atMost = 900 * MIB
  expect(promises.wanted().likely).toBe(1000 * MIB)
})
