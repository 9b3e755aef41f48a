import { describe, expect, it } from 'vitest'
import { type Round, verdictOf } from '../../src/prove/verdict.ts'

const round = (ours: number, theirs: number): Round => ({
  windlass: { seconds: ours, cpuSeconds: ours * 2 },
  containerd: { seconds: theirs, cpuSeconds: theirs * 2 },
})

describe('what rounds come to', () => {
  it('is medians, and how many times as long containerd took within each', () => {
    expect(verdictOf([round(2, 6), round(4, 8), round(3, 12)])).toEqual({
      medians: round(3, 8),
      ratios: [3, 2, 4],
      ratio: 3,
      faster: 'windlass',
    })
  })

  it.each([
    ['faster where every round says so', [round(2, 4), round(2, 3)], 'windlass'],
    ['slower where every round says so', [round(4, 2), round(3, 2)], 'containerd'],
    ['neither where rounds disagree', [round(2, 6), round(2, 5), round(2, 1)], 'neither'],
    ['neither where it is no difference to speak of', [round(100, 101), round(100, 102)], 'neither'],
  ] as const)('is %s', (_, rounds, faster) => {
    expect(verdictOf(rounds).faster).toBe(faster)
  })
})
