/** The share of the long runs that is made every time: `npm run kill` and `npm run powercut` make more of them. */
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { lacking } from '../integration/lacking.ts'
import { runCuts, withoutSync } from './cutting.ts'
import { runKills } from './killing.ts'
import { isClean, table } from './tally.ts'

const noDisks = lacking('root', 'mkfs.ext4') || !existsSync('/dev/loop-control')

describe('what was answered as pulled is there with every byte', () => {
  it.skipIf(lacking('root'))('after 25 kills', { timeout: 300_000 }, async ({ signal }) => {
    const tally = await runKills(25, 1, { signal })
    expect(isClean(tally), table([tally])).toBe(true)
    expect([tally.runs, tally.images > 25]).toEqual([25, true])
  })

  it.skipIf(noDisks)('after 10 power cuts', { timeout: 300_000 }, async ({ signal }) => {
    const tally = await runCuts(10, 1, { signal })
    expect(isClean(tally), table([tally])).toBe(true)
    expect([tally.runs, tally.images > 10]).toEqual([10, true])
  })

  it.skipIf(noDisks || lacking('strace'))('and would not be without syncfs', { timeout: 300_000 }, async ({ signal }) => {
    const tally = await runCuts(2, 1, { signal, wrapper: withoutSync })
    expect(tally.corrupt.length, table([tally])).toBeGreaterThan(0)
  })
})
