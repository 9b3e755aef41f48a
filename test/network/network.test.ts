import { expect, it } from 'vitest'
import { bad, pullThrough, twice } from './run.ts'

it('pulls go through a bad network, and hardly a byte comes twice: a share of npm run network', async () => {
  const outcome = await pullThrough(bad, { pulls: 6, parallel: 3, bytes: 4_000_000, seed: 7 })
  expect(outcome.failures).toEqual([])
  expect(outcome.pulled).toBe(6)
  // Without them nothing was tried.
  expect(outcome.cuts).toBeGreaterThan(0)
  expect(outcome.refusals).toBeGreaterThan(0)
  expect(twice(outcome)).toBeLessThanOrEqual(0.05)
}, 120_000)
