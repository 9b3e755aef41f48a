/** The share of `npm run steady` that is made every time: what cannot be another program's doing on a busy machine. */
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { lacking } from '../integration/lacking.ts'
import { leaks, tables } from './report.ts'
import { runSteady } from './run.ts'

const CYCLES = 150
const noDisks = lacking('root', 'mkfs.ext4') || !existsSync('/dev/loop-control')

describe('a daemon that pulls and removes again and again', () => {
  it.skipIf(noDisks)('holds nothing more afterwards, and answers all the time', async ({ signal }) => {
    const steady = await runSteady({ images: 50, pulls: 10, cycles: CYCLES, rounds: 1, imageMib: 4, signal })
    expect(leaks(steady), tables(steady, CYCLES)).toEqual([])
    for (const { name, status } of steady.phases) {
      expect(status.length, name).toBeGreaterThan(0)
      expect(Math.max(...status), name).toBeLessThan(1000)
    }
  })
})
