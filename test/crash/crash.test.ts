/** The share of the long runs that is made every time: `npm run kill` and `npm run powercut` make more of them. */
import { existsSync } from 'node:fs'
import { mkdtempDisposable, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lacking } from '../integration/lacking.ts'
import { eventually } from '../integration/node.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { runCuts, withoutSync } from './cutting.ts'
import { runFailures } from './failing.ts'
import { makeFleet, putFleet } from './fleet.ts'
import { runFull } from './full.ts'
import { runKills } from './killing.ts'
import { Alone } from './machine.ts'
import { runRaces } from './racing.ts'
import { isClean, newTally, table } from './tally.ts'
import { Victim } from './victim.ts'

const noDisks = lacking('root', 'mkfs.ext4') || !existsSync('/dev/loop-control')

describe('a daemon that is told to stop while it pulls', () => {
  it.skipIf(lacking('root'))('is gone within ten seconds, and the next one finds nothing lying', async ({ signal }) => {
    const tally = newTally('SIGTERM (C5)')
    const fleet = makeFleet(1, { images: 3, filesPerLayer: 150 })
    await using registry = await startRegistry({ blobBytesPerSecond: 20_000 })
    putFleet(registry, fleet)
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-stop-'))
    const victim = new Victim(new Alone(temporary.path), registry.host, fleet, tally)
    await victim.start({ signal })
    const pulls = Promise.allSettled(fleet.images.map((image) => victim.pull(image, { signal })))
    await eventually(async () => (await readdir(join(victim.windlass.root, 'staging'))).length > 0, { signal })
    const begin = performance.now()
    await victim.windlass.daemon.stop('SIGTERM')
    expect(performance.now() - begin).toBeLessThan(10_000)
    expect((await pulls).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await victim.kill()
    await victim.start({ signal })
    await victim.check('after SIGTERM', { signal })
    await victim.checkLeftovers('after SIGTERM', { signal })
    await victim.kill()
    expect(isClean(tally), table([tally])).toBe(true)
  })
})

describe('disks that are full, calls that fail, removals in between (more of each: npm run crash)', () => {
  it.skipIf(lacking('root')).each(['bytes', 'inodes'] as const)('too few %s, eight times', async (what) => {
    const tally = await runFull(8, 1, what, { signal: new AbortController().signal })
    expect(isClean(tally), table([tally])).toBe(true)
  })

  it.skipIf(noDisks || lacking('mkfs.btrfs'))('a quota, six times', { timeout: 120_000 }, async ({ signal }) => {
    const tally = await runFull(6, 1, 'quota', { signal })
    expect(isClean(tally), table([tally])).toBe(true)
  })

  it.skipIf(noDisks || lacking('strace'))('four failing calls', { timeout: 300_000 }, async ({ signal }) => {
    const tally = await runFailures(4, 3, { signal })
    expect(isClean(tally), table([tally])).toBe(true)
  })

  it.skipIf(lacking('root'))('50 rounds of removals against pulls', { timeout: 120_000 }, async ({ signal }) => {
    const tally = await runRaces(50, 1, { signal })
    expect(isClean(tally), table([tally])).toBe(true)
  })
})

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

  it.skipIf(lacking('root', 'containerd'))(
    'after 8 kills of it, of containerd, or of both',
    { timeout: 300_000 },
    async ({ signal }) => {
      const tally = await runKills(8, 1, { signal, beside: true })
      expect(isClean(tally), table([tally])).toBe(true)
      expect([tally.runs, tally.images > 8]).toEqual([8, true])
    },
  )

  it.skipIf(noDisks || lacking('containerd'))(
    'after 6 power cuts beside containerd',
    { timeout: 300_000 },
    async ({ signal }) => {
      const tally = await runCuts(6, 5, { signal, beside: true })
      expect(isClean(tally), table([tally])).toBe(true)
      expect([tally.runs, tally.images > 6]).toEqual([6, true])
    },
  )

  it.skipIf(noDisks || lacking('strace'))('and would not be without syncfs', { timeout: 300_000 }, async ({ signal }) => {
    const tally = await runCuts(2, 1, { signal, wrapper: withoutSync })
    expect(tally.corrupt.length, table([tally])).toBeGreaterThan(0)
  })
})
