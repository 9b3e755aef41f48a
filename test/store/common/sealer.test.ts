import { expect, test } from 'vitest'
import { WindlassError } from '../../../src/failure/failure.ts'
import { Sealer } from '../../../src/store/common/sealer.ts'

/** A seal that waits to be let through, group by group. */
function gate(): {
  readonly groups: string[][]
  seal: (items: readonly string[]) => Promise<readonly (string | WindlassError)[]>
  pass: (answer?: (item: string) => string | WindlassError) => Promise<void>
} {
  const groups: string[][] = []
  const waiting: ((answer: (item: string) => string | WindlassError) => void)[] = []
  return {
    groups,
    seal: (items) => {
      groups.push([...items])
      return new Promise((resolve) => waiting.push((answer) => resolve(items.map(answer))))
    },
    pass: async (answer = (item) => `${item} sealed`) => {
      waiting.shift()?.(answer)
      await new Promise(setImmediate)
    },
  }
}

const { signal } = new AbortController()

test('those who come while a group is sealed wait for the next, and share it', async () => {
  const { seal, groups, pass } = gate()
  const sealer = new Sealer(seal)
  const first = sealer.add('a', signal)
  const rest = [sealer.add('b', signal), sealer.add('c', signal)]
  expect(groups).toEqual([['a']])
  await pass()
  expect(groups).toEqual([['a'], ['b', 'c']])
  await pass()
  expect(await Promise.all([first, ...rest])).toEqual(['a sealed', 'b sealed', 'c sealed'])
  const later = sealer.add('d', signal)
  await pass()
  expect(await later).toBe('d sealed')
})

test('one failure in a group is its own', async () => {
  const { seal, pass } = gate()
  const sealer = new Sealer(seal)
  void sealer.add('a', signal)
  const both = Promise.allSettled([sealer.add('b', signal), sealer.add('c', signal)])
  await pass()
  await pass((item) => (item === 'b' ? new WindlassError({ kind: 'internal', what: 'b' }) : item))
  expect(await both).toMatchObject([
    { status: 'rejected', reason: { failure: { kind: 'internal', what: 'b' } } },
    { status: 'fulfilled', value: 'c' },
  ])
})

test('who gives up while waiting is not sealed; who gives up while it runs hears the outcome', async () => {
  const { seal, groups, pass } = gate()
  const sealer = new Sealer(seal)
  const [running, waiting] = [new AbortController(), new AbortController()]
  const first = sealer.add('a', running.signal)
  const second = sealer.add('b', waiting.signal)
  running.abort()
  waiting.abort()
  await expect(second).rejects.toMatchObject({ failure: { kind: 'cancelled' } })
  await pass()
  expect(await first).toBe('a sealed')
  expect(groups).toEqual([['a']])
})
