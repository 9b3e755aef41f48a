import { expect, test } from 'vitest'
import { MAX_RECEIPTS, type Receipts, withReceipt } from '../../src/store/receipts.ts'

const receipt = (identity: string, at: number) => ({
  identity,
  name: 'r.example/app@sha256:1',
  host: 'r.example',
  at: new Date(at),
})

test('the same one again takes the place of the last, any other is one more, newest first', () => {
  const one = withReceipt({ receipts: [], since: new Date(1) }, receipt('a', 1))
  const two = withReceipt(withReceipt(one, receipt('b', 2)), receipt('a', 3))
  expect(two).toEqual({ receipts: [receipt('a', 3), receipt('b', 2)], since: new Date(1) })
  expect(withReceipt(two, { ...receipt('a', 4), host: 'mirror' }).receipts).toHaveLength(3)
})

test('of many the oldest go, and it is said from when on none is missing', () => {
  let known: Receipts = { receipts: [], since: new Date(0) }
  for (let i = 1; i <= MAX_RECEIPTS + 2; i++) known = withReceipt(known, receipt(String(i), i))
  expect(known.receipts).toHaveLength(MAX_RECEIPTS)
  expect(known.receipts[0]?.identity).toBe(String(MAX_RECEIPTS + 2))
  expect(known).toMatchObject({ since: new Date(3) })
})
