import { expect, it, onTestFinished } from 'vitest'
import { WindlassError } from '../../src/failure/failure.ts'
import { isShownPinned, untilKnown, type Wanted } from '../../src/rpc/known.ts'
import { startDaemon, testServices } from './daemon.ts'
import { storedImage } from './parts.ts'

const { id } = storedImage('app')
const who = { runtime: 'CRI-O', socket: '/run/crio/crio.sock' }

/** A runtime that says this, once for each time it is asked, and then the last of it again. */
async function runtimeSaying(answers: readonly (object | Error)[]) {
  const { services } = testServices()
  const asked: string[] = []
  const imageStatus = async ({ image }: { readonly image: { readonly image: string } | null }): Promise<object> => {
    const answer = answers[Math.min(asked.push(image?.image ?? ''), answers.length) - 1] ?? {}
    if (answer instanceof Error) throw answer
    return answer
  }
  const image = { ...services.image, handlers: { ...services.image.handlers, imageStatus } }
  const daemon = await startDaemon({ ...services, image })
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  return { cri: daemon.client, asked }
}

const failureIn = (error: unknown): unknown => (error instanceof WindlassError ? error.failure : error)

async function asking(answers: readonly (object | Error)[], wanted: Partial<Wanted> = {}) {
  const { cri, asked } = await runtimeSaying(answers)
  const end = untilKnown(cri, id, { ...who, ...wanted }).then(() => 'known', failureIn)
  return { end, asked }
}
const busy = new WindlassError({ kind: 'internal', what: 'server is not initialized yet' })

it('asks by the id until the runtime shows the image, whatever it says before', async () => {
  const { end, asked } = await asking([{}, busy, {}, { image: { id } }])
  expect(await end).toBe('known')
  expect(asked).toEqual([id, id, id, id])
})

it('says of a runtime that does not take it in what it said last', async () => {
  const silent = await asking([{}], { patienceMs: 300 })
  expect(await silent.end).toMatchObject({ kind: 'runtime', ...who, code: 'NOT_FOUND', operation: `take in image ${id}` })
  const failing = await asking([busy], { patienceMs: 300 })
  expect(await failing.end).toMatchObject({ kind: 'runtime', detail: expect.stringContaining('not initialized') })
})

it('ends with the caller', async () => {
  const leaving = new AbortController()
  const { end, asked } = await asking([{}], { signal: leaving.signal })
  await expect.poll(() => asked.length).toBeGreaterThan(2)
  leaving.abort(new WindlassError({ kind: 'cancelled', reason: 'deadline' }))
  expect(await end).toEqual({ kind: 'cancelled', reason: 'deadline' })
})

it('tells whether a pin is shown; one that was set a moment ago may take another moment', async () => {
  const [shown, hidden] = [{ image: { id, pinned: true } }, { image: { id, pinned: false } }]
  const times = async (answers: readonly (object | Error)[], isNew: boolean) => {
    const { cri, asked } = await runtimeSaying(answers)
    return [await isShownPinned(cri, id, who, isNew).catch(failureIn), asked.length]
  }
  expect(await times([shown], false)).toEqual([true, 1])
  expect(await times([hidden, hidden, shown], true)).toEqual([true, 3])
  expect(await times([hidden, shown], false)).toEqual([false, 1])
  expect(await times([hidden], true)).toEqual([false, 3])
  expect(await times([busy], true)).toEqual([
    expect.objectContaining({ kind: 'runtime', ...who, operation: `tell whether ${id} is pinned` }),
    1,
  ])
})
