/** The share of `npm run steady` that is made every time: what cannot be another program's doing on a busy machine. */
import { describe, expect, it } from 'vitest'
import { lacking } from '../integration/lacking.ts'
import { leaks, tables } from './report.ts'
import { runSteady } from './run.ts'

const CYCLES = 80

describe('a daemon that pulls and removes again and again', () => {
  it.skipIf(lacking('root'))('holds nothing more afterwards, and answers all the time', async ({ signal }) => {
    const steady = await runSteady({
      fs: 'tmpfs',
      images: 40,
      pulls: 10,
      cycles: CYCLES,
      readings: 3,
      rounds: 1,
      idleMs: 0,
      imageMib: 2,
      signal,
    })
    expect(leaks(steady), tables(steady, CYCLES)).toEqual([])
    for (const { name, status } of steady.phases) {
      expect(status.length, name).toBeGreaterThan(0)
      expect(Math.max(...status), name).toBeLessThan(1000)
    }
  })
})
