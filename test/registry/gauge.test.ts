import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Gauge, TRIAL_MS } from '../../src/registry/gauge.ts'

const MB = 1_000_000

/** Hands a chunk to the gauge each time `between` has passed, for one trial; the last answer. */
async function trial(between: () => Promise<void> | undefined): Promise<boolean> {
  const gauge = new Gauge()
  const started = performance.now()
  let pays = false
  while (performance.now() - started < TRIAL_MS + 100 && !pays) {
    pays = gauge.pays(MB, undefined, 1000 * MB)
    await between()
  }
  return pays
}

describe('whether one connection is what a layer waits for', () => {
  it('it is where this process has nothing to do between its bytes', async () => {
    expect(await trial(() => delay(20))).toBe(true)
  })

  it('it is not where this process has no time for more', async () => {
    const busy = () => {
      const until = performance.now() + 20
      while (performance.now() < until);
      return undefined
    }
    expect(await trial(busy)).toBe(false)
  })
})
