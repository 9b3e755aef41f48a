/** The share of `npm run memory` that is made every time: few and small images show what does not depend on how many and how large. */
import { describe, expect, it } from 'vitest'
import { lacking } from '../integration/lacking.ts'
import { GATES, mib, table } from './report.ts'
import { runMemory } from './run.ts'

describe('a daemon that pulls images of large layers', () => {
  it.skipIf(lacking('root', 'docker-registry'))(
    'holds no more than it may, and its layers are not part of it',
    async ({ signal }) => {
      const memory = await runMemory({ pulls: 4, imageMib: 48, idleMs: 500, signal })
      expect(mib(memory.before.rss), table(memory)).toBeLessThanOrEqual(mib(GATES.idle))
      expect(mib(memory.pulling.pss), table(memory)).toBeLessThanOrEqual(mib(GATES.pulling))
    },
  )
})
