import { expect, test } from 'vitest'
import { SharedLeases } from '../../src/verify/shared-leases.ts'

/** What was made and given back, in order. */
function lab(users: readonly string[], fails: (nth: number) => boolean = () => false) {
  const told: string[] = []
  const leases = new SharedLeases(users, async (key) => {
    told.push(`made ${key}`)
    if (fails(told.length)) throw new Error('no lease')
    return { [Symbol.asyncDispose]: async () => void told.push(`gave back ${key}`) }
  })
  return { told, leases }
}

test('is made once, and given back by the last of those that will use it', async () => {
  const { told, leases } = lab(['a', 'a', 'b'])
  const first = await leases.take('a')
  const [second, other] = [await leases.take('a'), await leases.take('b')]
  await first[Symbol.asyncDispose]()
  expect(told).toEqual(['made a', 'made b'])
  await other[Symbol.asyncDispose]()
  await second[Symbol.asyncDispose]()
  expect(told).toEqual(['made a', 'made b', 'gave back b', 'gave back a'])
  await leases[Symbol.asyncDispose]()
  expect(told).toHaveLength(4)
})

test('what nobody came for any more is given back in the end', async () => {
  const { told, leases } = lab(['a', 'a'])
  const lease = await leases.take('a')
  await lease[Symbol.asyncDispose]()
  expect(told).toEqual(['made a'])
  await leases[Symbol.asyncDispose]()
  expect(told).toEqual(['made a', 'gave back a'])
})

test('one that cannot be made is tried anew by the next', async () => {
  const { told, leases } = lab(['a', 'a'], (nth) => nth === 1)
  await expect(leases.take('a')).rejects.toThrow('no lease')
  await using _second = await leases.take('a')
  expect(told).toEqual(['made a', 'made a'])
})
