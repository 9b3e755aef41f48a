import { describe, expect, it } from 'vitest'
import { lacking } from '../integration/lacking.ts'
import { openArena } from './arena.ts'
import { runDaemon } from './daemon.ts'
import { newTally, runArena, table } from './run.ts'

describe.skipIf(lacking('root'))('hostile layers', () => {
  it('280 through the unpacker: nothing escapes, crashes, hangs or stays', async () => {
    await using arena = await openArena()
    const tally = newTally()
    await runArena(arena, 280, 1, tally)
    expect(tally.findings, table('layers', tally)).toEqual([])
    // A share gets in, others are refused for what they are.
    expect(tally.ends.get('accepted')).toBeGreaterThan(50)
    expect(tally.ends.get('bad-layer')).toBeGreaterThan(50)
  })

  it('20 images through a daemon', async () => {
    const tally = newTally()
    await runDaemon(20, 1, tally)
    expect(tally.findings, table('images', tally)).toEqual([])
    expect(tally.cases).toBe(20)
  })
})
