import { expect, it } from 'vitest'
import { lacking } from '../integration/lacking.ts'
import { preempt, shareOf, timesFetched } from './run.ts'

it.skipIf(lacking('root', 'tc', 'unshare'))(
  'a pod’s pull goes before one ahead of it, and no byte comes twice: a share of npm run preempt',
  async () => {
    const outcome = await preempt({ rate: 20, warm: 100, small: 2, large: 80, into: 'none' })
    const [small, large] = outcome.pods
    if (small === undefined || large === undefined) throw new Error('no pod pulled')
    // How long it takes is npm run preempt's to say: this machine may have other things to do. Little has come meanwhile of what is ahead.
    expect(small.warmLeft).toBeGreaterThan(70e6)
    expect(large.warmLeft).toBeGreaterThan(60e6)
    // Of either layer ahead at most 4 MiB had been asked for when it began.
    expect(shareOf(large)).toBeGreaterThan(0.8)
    expect(timesFetched(outcome)).toBeLessThan(1.05)
  },
  180_000,
)
