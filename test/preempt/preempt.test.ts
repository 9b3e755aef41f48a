import { expect, it } from 'vitest'
import { lacking } from '../integration/lacking.ts'
import { preempt, shareOf, timesFetched } from './run.ts'

it.skipIf(lacking('root', 'tc', 'unshare'))(
  'a pod’s pull goes before one ahead of it, and no byte comes twice: a share of npm run preempt',
  async () => {
    const outcome = await preempt({ rate: 20, warm: 100, small: 2, large: 60, into: 'none' })
    const [small, large] = outcome.pods
    if (small === undefined || large === undefined) throw new Error('no pod pulled')
    // A second on a quiet machine; without preemption it takes the 4 s that the rest ahead needs.
    expect(small.ms).toBeLessThan(3_500)
    // What was asked for when it began comes all the same: of either layer at most what a tenth of a second brings.
    expect(shareOf(large)).toBeGreaterThan(0.85)
    expect(large.warmLeft).toBeGreaterThan(0)
    expect(timesFetched(outcome)).toBeLessThan(1.05)
  },
  180_000,
)
