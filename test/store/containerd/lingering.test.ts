import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { LayerId } from '../../../src/oci/digest.ts'
import { Staged } from '../../../src/store/common/staged.ts'
import { Lingering } from '../../../src/store/containerd/lingering.ts'
import { layerIdsOf } from '../../../src/store/containerd/names.ts'
import { Pending } from '../../../src/store/containerd/pending.ts'
import { diffIdOf } from '../fixtures.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

const ROUND_MS = 1_000
const diffIds = ['base', 'middle', 'top'].map(diffIdOf)
const ids = layerIdsOf(diffIds)

/** Staged layers, those that a pull holds, and what went with each round. */
function lab() {
  const [pending, held, went] = [new Pending(), new Set<LayerId>(), [] as (readonly LayerId[])[]]
  const lingering = new Lingering(
    {
      loose: () => pending.loose(held),
      drop: (but) => void went.push(pending.takeLoose([...held, ...but]).map(({ id }) => id)),
    },
    ROUND_MS,
  )
  const add = (at: number): LayerId => {
    const [id, diffId, parent] = [ids[at], diffIds[at], ids[at - 1]]
    if (id === undefined || diffId === undefined) throw new Error(`there is no layer ${at}`)
    const staged = new Staged('', '/nowhere', diffId, 0, async () => {})
    pending.add({ id, diffId, parent, dir: '/nowhere', facts: { diffSize: 1, entries: 1, whiteouts: 0 } }, staged)
    lingering.begin()
    return id
  }
  return { pending, held, went, lingering, add }
}

test('a layer that nobody holds waits a whole round, however many wait with it', () => {
  const { went, add, lingering } = lab()
  using _lingering = lingering
  const base = add(0)
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(ROUND_MS - 1)
  // It comes just before the round, and stands on what has waited longer.
  const middle = add(1)
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(ROUND_MS)
  expect(went).toEqual([[]])
  vi.advanceTimersByTime(1)
  expect(went).toEqual([[], [middle, base]])
})

test('what a later one stands on stays with it, and so does what a pull has come back for', () => {
  const { went, add, held, lingering } = lab()
  using _lingering = lingering
  const [base, middle] = [add(0), add(1)]
  vi.advanceTimersByTime(ROUND_MS)
  const top = add(2)
  vi.advanceTimersByTime(ROUND_MS)
  expect(went).toEqual([[], []])
  held.add(top)
  vi.advanceTimersByTime(ROUND_MS)
  expect(went).toEqual([[], [], []])
  // Nothing waits: neither does the timer.
  expect(vi.getTimerCount()).toBe(0)
  held.delete(top)
  lingering.begin()
  vi.advanceTimersByTime(2 * ROUND_MS)
  expect(went.at(-1)).toEqual([top, middle, base])
})

test('it ends with the store', () => {
  const { add, lingering, went } = lab()
  add(0)
  lingering[Symbol.dispose]()
  vi.advanceTimersByTime(3 * ROUND_MS)
  expect([vi.getTimerCount(), went]).toEqual([0, []])
})
