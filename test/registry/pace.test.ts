import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Pace, type PaceLimits, TooSlow } from '../../src/registry/pace.ts'

function watched(limits: PaceLimits) {
  const { promise, resolve } = Promise.withResolvers<TooSlow>()
  return { pace: new Pace(limits, resolve), slow: promise }
}

describe('the pace of an answer', () => {
  it('is lost after a silence, and says how long it was', async () => {
    const { pace, slow } = watched({ silentMs: 200 })
    using _pace = pace
    pace.run()
    expect((await slow).message).toBe('no byte for 0.2 s')
  })

  it('is lost where no head comes in time, and not by a head that came', async () => {
    const { pace, slow } = watched({ headMs: 200 })
    using _pace = pace
    pace.run()
    expect((await slow).message).toBe('timeout while waiting for an answer')
    const heard = watched({ headMs: 200 })
    using _heard = heard.pace
    heard.pace.run()
    heard.pace.heard()
    expect(await Promise.race([heard.slow, delay(600)])).toBeUndefined()
  })

  it('is lost where bytes come one by one', async () => {
    const { pace, slow } = watched({ slow: { bytes: 1000, ms: 300 } })
    using _pace = pace
    pace.run()
    const trickle = setInterval(() => pace.took(1), 20)
    expect((await slow).message).toMatch(/^only \d+ bytes in 0.3 s$/)
    clearInterval(trickle)
  })

  it('is not looked at while nobody would take a byte', async () => {
    const { pace, slow } = watched({ silentMs: 200, slow: { bytes: 1000, ms: 200 } })
    using _pace = pace
    pace.run()
    pace.took(1)
    pace.hold()
    expect(await Promise.race([slow, delay(1_000)])).toBeUndefined()
    pace.run()
    expect(await slow).toBeInstanceOf(TooSlow)
  })
})
