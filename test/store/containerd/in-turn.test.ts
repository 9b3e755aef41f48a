import { expect, test } from 'vitest'
import { asWindlassError, WindlassError } from '../../../src/failure/failure.ts'
import { inTurn } from '../../../src/store/containerd/in-turn.ts'

const answered = (code: string): WindlassError =>
  new WindlassError({ kind: 'runtime', runtime: 'containerd', socket: '/s', operation: 'create a lease', code, detail: '' })

test.each([
  ['that does not answer in time is not asked for the others', 'DEADLINE_EXCEEDED', [1, 2]],
  ['that refuses one is asked for the others', 'UNKNOWN', [1, 2, 3]],
])('a containerd %s', async (_, code, asked) => {
  const tried: number[] = []
  const failure = answered(code)
  const outcomes = await inTurn([1, 2, 3], async (each) => {
    tried.push(each)
    if (each === 2) throw asWindlassError(failure)
    return each
  })
  expect(tried).toEqual(asked)
  expect(outcomes).toEqual(code === 'UNKNOWN' ? [1, failure, 3] : [1, failure, failure])
})
