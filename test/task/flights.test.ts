import { describe, expect, it } from 'vitest'
import { Flights } from '../../src/task/flights.ts'
import { Limiter } from '../../src/task/limiter.ts'

const forever = new AbortController()

describe('flights', () => {
  it('run once for everybody who asks meanwhile, and again for who asks later', async () => {
    const flights = new Flights<string, number>()
    let runs = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const start = async (): Promise<number> => {
      await promise
      return ++runs
    }
    const joined = [1, 2, 3].map(() => flights.join('a', start, forever))
    resolve()
    expect(await Promise.all(joined)).toEqual([1, 1, 1])
    expect(flights.has('a')).toBe(false)
    expect(await flights.join('a', start, forever)).toBe(2)
  })

  it('go on when one leaves, and stop when the last one has', async () => {
    const flights = new Flights<string, string>()
    const ended = Promise.withResolvers<string>()
    const start = (signal: AbortSignal): Promise<string> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          ended.resolve('stopped')
          reject(signal.reason)
        })
      })
    const [first, last] = [new AbortController(), new AbortController()]
    const a = flights.join('k', start, first)
    const b = flights.join('k', start, last)
    first.abort(new Error('first left'))
    await expect(a).rejects.toThrow('first left')
    expect(flights.has('k')).toBe(true)
    last.abort(new Error('last left'))
    await expect(b).rejects.toThrow('last left')
    expect(await ended.promise).toBe('stopped')
    expect(flights.has('k')).toBe(false)
  })

  it('do not let a newcomer join work that is being stopped', async () => {
    const flights = new Flights<string, number>()
    const letGo = Promise.withResolvers<void>()
    let runs = 0
    const start = async (signal: AbortSignal): Promise<number> => {
      const run = ++runs
      if (run === 1) {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
        await letGo.promise
        throw signal.reason
      }
      return run
    }
    const leaver = new AbortController()
    const left = flights.join('k', start, leaver)
    leaver.abort(new Error('left'))
    await Promise.resolve()
    const late = Promise.resolve().then(() => flights.join('k', start, forever))
    expect(await late).toBe(2)
    letGo.resolve()
    await expect(left).rejects.toThrow('left')
  })
})

describe('the limiter', () => {
  it('admits in order, and never more than its limit', async () => {
    const limiter = new Limiter(2)
    const order: number[] = []
    let running = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        using _permit = await limiter.acquire(forever)
        order.push(i)
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
      }),
    )
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(most).toBe(2)
  })

  it('gives places that are free to those who would not wait, and no other', async () => {
    const limiter = new Limiter(2)
    const first = limiter.tryAcquire()
    using second = await limiter.acquire(forever)
    expect([first !== undefined, second !== undefined, limiter.free, limiter.tryAcquire()]).toEqual([true, true, 0, undefined])
    const waiting = limiter.acquire(forever)
    first?.[Symbol.dispose]()
    // It went to the one who waited.
    expect(limiter.tryAcquire()).toBeUndefined()
    const third = await waiting
    third[Symbol.dispose]()
    second[Symbol.dispose]()
    expect([limiter.free, limiter.isIdle]).toEqual([2, true])
  })

  it('forgets who stops waiting', async () => {
    const limiter = new Limiter(1)
    const held = await limiter.acquire(forever)
    const leaver = new AbortController()
    const waiting = limiter.acquire(leaver)
    leaver.abort(new Error('left'))
    await expect(waiting).rejects.toThrow('left')
    held[Symbol.dispose]()
    held[Symbol.dispose]()
    using _next = await limiter.acquire(forever)
    const blocked = limiter.acquire({ signal: AbortSignal.timeout(20) })
    await expect(blocked).rejects.toMatchObject({ name: 'TimeoutError' })
  })
})
