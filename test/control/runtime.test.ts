/** The control service of a daemon beside a runtime. */
import { expect, it, onTestFinished } from 'vitest'
import { type ControlServiceParts, createControlService } from '../../src/control/control-service.ts'
import { describe, type Failure, fail, WindlassError } from '../../src/failure/failure.ts'
import { createCollector } from '../../src/gc/gc.ts'
import { RpcError } from '../../src/rpc/status.ts'
import { createPassthrough, fixedPassthrough, type Passthrough } from '../../src/runtime/passthrough.ts'
import type { RuntimeFacts } from '../../src/runtime/runtime.ts'
import type { Expiries } from '../../src/store/expiry.ts'
import { collect, housekeeperOver, startDaemon, testServices, unbounded } from '../rpc/daemon.ts'
import { drivenPuller, memoryStore, noHistory, noLooker, noVerifier, storedImage } from '../rpc/parts.ts'

const signal = unbounded
const app = storedImage('app', { tags: ['r.example/app:1'] })
const facts: RuntimeFacts = { name: 'containerd', version: '2.1.9', otherSnapshotters: new Map(), obstacles: [] }
const address = { kind: 'containerd', socket: '/run/containerd/containerd.sock' } as const

const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error' as const,
    (error: unknown) => (error instanceof RpcError ? { code: error.code, kind: error.kind, message: error.message } : error),
  )

type Wishes = {
  readonly passthrough?: Passthrough
  readonly obstacles?: readonly string[]
  readonly missing?: string
  readonly down?: Failure
  readonly confirm?: ReturnType<ControlServiceParts['node']>['confirm']
  readonly isPinShown?: boolean
  readonly expiries?: Expiries
}

async function start({
  passthrough = createPassthrough(() => {}),
  obstacles = [],
  missing,
  down,
  confirm,
  isPinShown,
  expiries,
}: Wishes = {}) {
  const { store } = memoryStore(app)
  const driven = drivenPuller()
  const { puller } = driven
  const node = {
    puller,
    store: { ...store, ...(expiries === undefined ? {} : { expiries }) },
    collector: createCollector(store),
    housekeeper: housekeeperOver(store),
    looker: noLooker,
    history: noHistory,
    verifier: noVerifier,
    ...(confirm === undefined ? {} : { confirm }),
    ...(isPinShown === undefined ? {} : { showsPin: async () => isPinShown }),
  }
  const windlass = createControlService({
    node: () => (missing === undefined ? node : fail({ kind: 'passthrough', reason: missing })),
    runtime: {
      address,
      passthrough,
      facts: () => (missing === undefined ? { ...facts, obstacles } : undefined),
      missing: () => missing,
      down: async () => down,
    },
    log: { info: () => {}, warn: () => {} },
    root: '/store',
    platform: { os: 'linux', architecture: 'amd64' },
    version: '1.2.3',
  })
  const daemon = await startDaemon({ ...testServices().services, windlass })
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  return { windlass: daemon.client.windlass, driven }
}

it('tells whose images these are, and whether pulls are ours', async () => {
  const { windlass } = await start({ obstacles: ['it asks verifiers'] })
  const { runtime, passthrough } = await windlass.info({}, { signal })
  expect(runtime).toEqual({ ...address, version: '2.1.9', obstacles: ['it asks verifiers'], missing: '', down: '' })
  expect(passthrough).toEqual({ on: false, reason: '', sinceMs: 0 })
})

it('switches passthrough on and off, with the reason and the time', async () => {
  const { windlass } = await start()
  const before = Date.now()
  const { passthrough } = await windlass.setPassthrough({ on: true, reason: 'incident 4711' }, { signal })
  expect(passthrough).toMatchObject({ on: true, reason: 'incident 4711' })
  expect(passthrough?.sinceMs).toBeGreaterThanOrEqual(before)
  expect((await windlass.info({}, { signal })).passthrough).toEqual(passthrough)
  expect((await windlass.setPassthrough({ on: false }, { signal })).passthrough).toMatchObject({ on: false })
})

it.each<[string, Wishes]>([
  ['while passthrough is on', { passthrough: fixedPassthrough('because of it') }],
  ['past what the runtime would ask', { obstacles: ['because of it'] }],
  ['without a path of our own', { missing: 'because of it' }],
])('lands nothing %s', async (_, wishes) => {
  const { windlass, driven } = await start(wishes)
  expect(await rejection(collect(windlass.pull({ reference: 'app' }, { signal })))).toEqual({
    code: 'FAILED_PRECONDITION',
    kind: 'passthrough',
    message: expect.stringMatching(
      /^this is left to the runtime: because of it(?:; mend that and restart the daemon; crictl .*)?$/,
    ),
  })
  expect(driven.untaken()).toBe(0)
})

it('tells of the switch, and how to turn it, before it tells of what else is missing', async () => {
  const passthrough = createPassthrough(() => {}, { initial: { on: true, reason: 'incident 4711', since: new Date() } })
  const { windlass } = await start({ passthrough, missing: 'containerd is away' })
  expect(await rejection(collect(windlass.pull({ reference: 'app' }, { signal })))).toMatchObject({
    kind: 'passthrough',
    message: expect.stringMatching(/incident 4711; windlass passthrough off takes pulls back/),
  })
})

it('says that the runtime is down in one sentence, whoever asks', async () => {
  const down = { kind: 'runtime-down', runtime: 'containerd', socket: '/s', reason: 'nobody listens on it' } as const
  const { windlass } = await start({ down, missing: 'it is being opened' })
  expect((await windlass.info({}, { signal })).runtime).toMatchObject({ missing: 'it is being opened', down: describe(down) })
})

it('cannot be told to pull by itself where there is no way to', async () => {
  const { windlass } = await start({
    passthrough: fixedPassthrough('the configuration is bad'),
    missing: 'the configuration is bad',
  })
  expect(await rejection(windlass.setPassthrough({ on: false }, { signal }))).toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('the configuration is bad'),
  })
  for (const call of [
    windlass.plan({ reference: 'app' }, { signal }),
    windlass.inspectImage({ image: 'app' }, { signal }),
    windlass.removeImage({ image: 'app' }, { signal }),
  ])
    expect(await rejection(call)).toMatchObject({ code: 'FAILED_PRECONDITION', kind: 'passthrough' })
  expect((await windlass.info({}, { signal })).runtime).toMatchObject({ missing: 'the configuration is bad', version: '' })
})

it('ends a pull once the runtime knows the image, or fails it', async () => {
  const known = Promise.withResolvers<void>()
  const asked: string[] = []
  const { windlass, driven } = await start({
    confirm: async (id) => {
      asked.push(id)
      await known.promise
    },
  })
  let ended = false
  const pulled = collect(windlass.pull({ reference: 'app' }, { signal })).then((events) => {
    ended = true
    return events
  })
  ;(await driven.next()).succeed(app)
  await expect.poll(() => asked).toEqual([app.id])
  expect(ended).toBe(false)
  known.resolve()
  expect(await pulled).toEqual([])

  const detail = 'not among its images'
  const silent = await start({
    confirm: () =>
      Promise.reject(
        new WindlassError({ kind: 'runtime', runtime: 'CRI-O', socket: '/s', operation: 'o', code: 'NOT_FOUND', detail }),
      ),
  })
  const failed = rejection(collect(silent.windlass.pull({ reference: 'app' }, { signal })))
  ;(await silent.driven.next()).succeed(app)
  expect(await failed).toMatchObject({ kind: 'runtime', message: expect.stringContaining(detail) })
})

/** Expiries whose every call is told, in its order. */
function telling() {
  const told: string[] = []
  const expiries: Expiries = {
    begin: async () => {
      told.push('begin')
      return {
        give: async (id, at) => {
          told.push(`give ${id === app.id}`)
          return at
        },
        [Symbol.dispose]: () => void told.push('over'),
      }
    },
    stays: async ({ id }) => {
      told.push(`stays ${id === app.id}`)
      return true
    },
  }
  return { told, expiries }
}

it('gives an image its time once the runtime knows it; what was here before is looked at before', async () => {
  const { told, expiries } = telling()
  const { windlass, driven } = await start({ expiries, confirm: async () => void told.push('confirm') })
  const pulled = collect(windlass.pull({ reference: 'app', expiresAfterMs: 60_000 }, { signal }))
  const pull = await driven.next()
  expect(told).toEqual(['begin'])
  pull.succeed(app)
  await pulled
  expect(told).toEqual(['begin', 'confirm', 'give true', 'over'])
})

it('takes an image’s time away where it is pulled without one', async () => {
  const { told, expiries } = telling()
  const { windlass, driven } = await start({ expiries })
  const pulled = collect(windlass.pull({ reference: 'app' }, { signal }))
  ;(await driven.next()).succeed(app)
  await pulled
  expect(told).toEqual(['stays true'])
})

it('pulls once more what has gone by itself while it was found here', async () => {
  const { told, expiries } = telling()
  const gone: boolean[] = []
  const isGone = (): boolean => gone.push(gone.length === 0) === 1
  const begin: Expiries['begin'] = async () => ({
    give: async (_id, at) => (isGone() ? 'gone' : at),
    [Symbol.dispose]: () => {},
  })
  const ahead = { ...expiries, begin }
  const toStay = { ...expiries, stays: async () => !isGone() }
  for (const [each, expiresAfterMs] of [
    [ahead, 60_000],
    [toStay, 0],
  ] as const) {
    gone.length = 0
    const { windlass, driven } = await start({ expiries: each })
    const pulled = collect(windlass.pull({ reference: 'app', expiresAfterMs }, { signal }))
    ;(await driven.next()).succeed(app)
    ;(await driven.next()).succeed(app)
    await pulled
    expect(gone).toEqual([true, false])
  }
  expect(told).toEqual([])
})

it('gives no time where the pull fails, and fails where it cannot be given', async () => {
  const { told, expiries } = telling()
  const failing = await start({ expiries })
  const request = { reference: 'app', expiresAfterMs: 60_000 }
  const failed = rejection(collect(failing.windlass.pull(request, { signal })))
  ;(await failing.driven.next()).fail(new WindlassError({ kind: 'manifest-unknown', reference: 'app', tried: [] }))
  expect(await failed).toMatchObject({ kind: 'manifest-unknown' })
  expect(told).toEqual(['begin', 'over'])

  const down = new WindlassError({ kind: 'runtime-down', runtime: 'containerd', socket: '/s', reason: 'gone' })
  const give = () => Promise.reject(down)
  const begin: Expiries['begin'] = async () => ({ give, [Symbol.dispose]: () => {} })
  const { windlass, driven } = await start({ expiries: { ...expiries, begin } })
  const ungiven = rejection(collect(windlass.pull(request, { signal })))
  ;(await driven.next()).succeed(app)
  expect(await ungiven).toMatchObject({ kind: 'runtime-down' })
})

it.each([59_999, -1, 1e16])('refuses %d ms before anything is pulled', async (expiresAfterMs) => {
  const { told, expiries } = telling()
  const { windlass, driven } = await start({ expiries })
  expect(await rejection(collect(windlass.pull({ reference: 'app', expiresAfterMs }, { signal })))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('want a time of a minute at least'),
  })
  expect([told, driven.untaken()]).toEqual([[], 0])
})

it('has no switch without a runtime', async () => {
  const daemon = await startDaemon(testServices().services)
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  for (const on of [true, false])
    expect(await rejection(daemon.client.windlass.setPassthrough({ on }, { signal }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        `^invalid argument "${on ? 'on' : 'off'}": this daemon has a store of its own and no runtime.*windlass serve --runtime`,
      ),
    })
})

it('keeps a pin that kubelet hears of, and takes back one that it would not', async () => {
  const shown = await start({ isPinShown: true })
  const wish = { image: 'r.example/app:1', owner: 'ci' }
  expect((await shown.windlass.pin(wish, { signal })).pins).toMatchObject([{ owner: 'ci' }])
  const hidden = await start({ isPinShown: false })
  expect(await rejection(hidden.windlass.pin(wish, { signal }))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('does not show pins to kubelet'),
  })
  expect((await hidden.windlass.inspectImage({ image: 'r.example/app:1' }, { signal })).pins).toEqual([])
})
