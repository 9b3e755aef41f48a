import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { parseDigest } from '../../src/oci/digest.ts'
import { backoffMs } from '../../src/prepull/backoff.ts'
import type { DeclaredImage, ImageList, Means, Place } from '../../src/prepull/prepull.ts'
import { Prepuller, type PrepullerParts } from '../../src/prepull/prepuller.ts'
import type { QueuedImage } from '../../src/pull/queue.ts'
import { type Lab, openLab } from '../pull/lab.ts'
import { buildImage, buildLayer } from '../support/image.ts'

const imageOf = (content: string) => buildImage({ layers: [buildLayer({ tar: [{ name: 'file', content }] })] })

const means: Means = { loginsFor: async () => [], openArchive: () => Promise.reject(new Error('there are no archives')) }

async function open({ placeIn, ...parts }: Partial<PrepullerParts> & { readonly placeIn?: (lab: Lab) => Place } = {}) {
  await using open = new AsyncDisposableStack()
  const lab = open.use(await openLab())
  const warnings: string[] = []
  const prepuller = new Prepuller({
    place: () => placeIn?.(lab) ?? lab,
    means,
    freePercent: async () => 100,
    maxParallel: 1,
    startJitterMs: 0,
    minFreePercent: 20,
    log: { info: () => {}, warn: (_, text) => warnings.push(text) },
    ...parts,
  })
  const stop = new AbortController()
  const running = prepuller.run({ signal: stop.signal })
  open.defer(async () => {
    stop.abort()
    await running
  })
  const declared = (name: string, more: Partial<DeclaredImage> = {}): DeclaredImage => {
    const { reference } = lab.publish(name, imageOf(name))
    return { name: `${lab.registry.host}/${name}`, reference, policy: 'IfNotPresent', ...more }
  }
  const kept = open.move()
  return {
    lab,
    prepuller,
    warnings,
    declared,
    declare: (lists: readonly ImageList[], isWhole = true) => prepuller.declare({ lists, isWhole }),
    state: (at = 0) => prepuller.queue().images[at]?.state,
    until: async (isSo: () => boolean | Promise<boolean>) => {
      for (const end = Date.now() + 20_000; !(await isSo()); await delay(10))
        if (Date.now() > end) throw new Error(`not so: ${JSON.stringify(prepuller.queue().images)}`)
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}
const list = (name: string, images: readonly DeclaredImage[], priority = 0): ImageList => ({
  name,
  priority,
  secrets: [],
  images,
})
const isAll = (kind: QueuedImage['state']['kind']) => (queue: readonly QueuedImage[]) =>
  queue.every(({ state }) => state.kind === kind)

test('what is declared is pulled, lists of a higher priority first, and pinned by its list', async () => {
  const at = await open()
  await using _ = at
  at.declare([
    list('low', [at.declared('a:1'), at.declared('b:1', { pinMs: 3_600_000 })]),
    list('high', [at.declared('c:1')], 100),
  ])
  await at.until(() => isAll('here')(at.prepuller.queue().images))
  const manifests = at.lab.registry.requests.filter(({ path, method }) => method === 'GET' && path.includes('/manifests/1'))
  expect(manifests.map(({ path }) => path.split('/')[2])).toEqual(['c', 'a', 'b'])
  const pinsOf = async (name: string) => (await at.lab.store.find(`${at.lab.registry.host}/${name}`))?.pins
  expect(await pinsOf('c:1')).toEqual([expect.objectContaining({ owner: 'prepull:high' })])
  const [pin] = (await pinsOf('b:1')) ?? []
  expect((pin?.until?.getTime() ?? 0) - Date.now()).toBeGreaterThan(3_500_000)
  expect(at.prepuller.queue().images.map(({ state }) => state.kind === 'here' && state.isProtected)).toEqual([true, true, true])
})

test('who watches hears of each step, until they leave', async () => {
  const at = await open()
  await using _ = at
  const states: (string | undefined)[] = []
  const left = new AbortController()
  at.prepuller.watch(() => states.push(at.state()?.kind), { signal: left.signal })
  at.declare([list('base', [at.declared('a:1')])])
  await at.until(() => at.state()?.kind === 'here')
  expect(at.prepuller.queue().lists).toEqual(['base'])
  await at.until(() => states.at(-1) === 'here')
  expect([...new Set(states)]).toEqual(['waiting', 'pulling', 'here'])
  left.abort()
  const { length } = states
  at.prepuller.wake()
  expect(states).toHaveLength(length)
})

test('what is declared no more is unpinned; not while a file cannot be read; other owners’ pins stay', async () => {
  const at = await open()
  await using _ = at
  const image = at.declared('a:1')
  at.declare([list('base', [image])])
  await at.until(() => isAll('here')(at.prepuller.queue().images) && at.prepuller.queue().images.length === 1)
  const id = (await at.lab.store.find(image.name))?.id
  if (id === undefined) throw new Error('it is not here')
  await at.lab.store.pin(id, { owner: 'ci', reason: '', since: new Date() })
  const owners = async () => (await at.lab.store.find(image.name))?.pins.map(({ owner }) => owner).toSorted()
  at.declare([], false)
  await at.lab.pull({ ...image, credentials: { kind: 'anonymous' }, client: 'cri' })
  expect(await owners()).toEqual(['ci', 'prepull:base'])
  at.declare([])
  await at.until(async () => (await owners())?.length === 1)
  expect(await owners()).toEqual(['ci'])
})

test('IfNotPresent asks nobody for what is here; Always asks, and takes what the tag names now', async () => {
  const at = await open()
  await using _ = at
  const [still, moving] = [at.declared('still:1'), at.declared('moving:1', { policy: 'Always' })]
  await at.lab.pull({ ...still, credentials: { kind: 'anonymous' }, client: 'cli' })
  await at.lab.pull({ ...moving, credentials: { kind: 'anonymous' }, client: 'cli' })
  const moved = imageOf('another')
  at.lab.publish('moving:1', moved)
  const before = at.lab.registry.requests.length
  at.declare([list('base', [still, moving])])
  await at.until(() => isAll('here')(at.prepuller.queue().images))
  const asked = at.lab.registry.requests.slice(before).map(({ path }) => path)
  expect(asked.filter((path) => path.includes('still'))).toEqual([])
  expect(at.state(1)).toMatchObject({ kind: 'here', image: moved.id })
})

test('as many are pulled at once as may be', async () => {
  const at = await open({ maxParallel: 2 })
  await using _ = at
  const stand = Promise.withResolvers<void>()
  at.lab.registry.fault = () => ({ kind: 'hold', until: stand.promise })
  at.declare([
    list(
      'base',
      ['a:1', 'b:1', 'c:1'].map((name) => at.declared(name)),
    ),
  ])
  await at.until(() => at.lab.puller.inFlight().length === 2)
  expect(at.prepuller.queue().images.map(({ state }) => state.kind)).toEqual(['pulling', 'pulling', 'waiting'])
  await delay(200)
  expect(at.lab.puller.inFlight()).toHaveLength(2)
  stand.resolve()
  await at.until(() => isAll('here')(at.prepuller.queue().images))
})

test('a failure says why, and is tried again later each time; the next image does not wait for it', async () => {
  const at = await open()
  await using _ = at
  const gone = { ...at.declared('gone:1') }
  at.lab.registry.fault = ({ path }) => (path.includes('gone') ? { kind: 'status', status: 403, code: 'DENIED' } : undefined)
  at.declare([list('base', [gone, at.declared('a:1')])])
  await at.until(() => at.state(0)?.kind === 'failed' && at.state(1)?.kind === 'here')
  expect(at.state(0)).toMatchObject({ kind: 'failed', attempts: 1, reason: expect.stringContaining('403') })
  expect(at.warnings).toEqual([expect.stringMatching(/^not pulled ahead: .*403/)])
  // Whoever asks need not wait for that.
  at.lab.registry.fault = undefined
  at.prepuller.look()
  await at.until(() => isAll('here')(at.prepuller.queue().images))
  const [first, last] = [backoffMs(1, () => 0), backoffMs(20, () => 0)]
  expect({ first, last, jittered: backoffMs(2, () => 1) }).toEqual({ first: 10_000, last: 300_000, jittered: 10_000 })
})

test('a pull that takes too long is ended at its deadline', async () => {
  const at = await open()
  await using _ = at
  at.lab.registry.fault = () => ({ kind: 'hold', until: new Promise(() => {}) })
  at.declare([list('base', [at.declared('slow:1', { deadlineMs: 200 })])])
  await at.until(() => at.state()?.kind === 'failed')
  expect(at.state()).toMatchObject({ reason: 'not done within 0.2 s' })
  expect(at.lab.puller.inFlight()).toEqual([])
})

test('none begins while a pod’s pull runs', async () => {
  const at = await open()
  await using _ = at
  const hold = Promise.withResolvers<void>()
  at.lab.registry.fault = ({ path }) => (path.includes('pod') ? { kind: 'hold', until: hold.promise } : undefined)
  const pod = at.lab.pull({ ...at.lab.publish('pod:1', imageOf('pod')), client: 'cri' })
  await at.until(() => at.lab.registry.requests.length > 0)
  at.declare([list('base', [at.declared('a:1')])])
  await delay(300)
  expect(at.lab.registry.requests.filter(({ path }) => path.includes('/a/'))).toEqual([])
  expect(at.prepuller.queue().held).toBe('pulls that somebody waits for go first')
  hold.resolve()
  await pod
  await at.until(() => at.state()?.kind === 'here')
  expect(at.prepuller.queue().held).toBeUndefined()
})

test('nor with less of the disk free than is wanted, or before its jitter, or without a place', async () => {
  for (const parts of [
    { freePercent: async () => 19 },
    { startJitterMs: 3_600_000, random: () => 0.5 },
    { place: () => undefined },
  ]) {
    const at = await open(parts)
    await using _ = at
    at.declare([list('base', [at.declared('a:1')])])
    await delay(200)
    expect(at.state()).toMatchObject({ kind: 'waiting' })
    expect(at.lab.registry.requests).toEqual([])
  }
})

test('what the runtime shows no pin of is unprotected, and told once; what it shows is not', async () => {
  let isShown = false
  const at = await open({ placeIn: (lab) => ({ ...lab, showsPin: async () => isShown }) })
  await using _ = at
  at.declare([list('base', [at.declared('a:1')])])
  await at.until(() => at.state()?.kind === 'here')
  expect(at.state()).toMatchObject({ isProtected: false })
  expect(at.warnings).toEqual([expect.stringContaining('unprotected')])
  isShown = true
  at.declare([list('base', [at.declared('b:1')])])
  await at.until(() => at.state()?.kind === 'here')
  expect(at.state()).toMatchObject({ isProtected: true })
})

test('in a runtime’s store a time is renewed while the image is declared, once half of it is over; and the pin with it', async () => {
  const DAY = 24 * 3_600_000
  const given: number[] = []
  let leftMs = 0
  const timed = ({ store, puller }: Lab): Place => ({
    puller,
    store: {
      overlayDir: store.overlayDir,
      find: async (name) => {
        const found = await store.find(name)
        return found && { ...found, expiry: { at: new Date(Date.now() + leftMs), of: 'image' as const } }
      },
      images: () => store.images(),
      pin: (id, pin) => store.pin(id, pin),
      unpin: (id, owner) => store.unpin(id, owner),
      expiries: {
        stays: async () => true,
        begin: async () => ({
          give: async (_id, at) => {
            given.push(at.getTime() - Date.now())
            return at
          },
          [Symbol.dispose]: () => {},
        }),
      },
    },
  })
  for (const [left, times] of [
    [3 * DAY, 1],
    [4 * DAY, 0],
  ] as const) {
    const at = await open({ placeIn: timed })
    await using _ = at
    const image = at.declared('a:1')
    const { id } = await at.lab.pull({ ...image, credentials: { kind: 'anonymous' }, client: 'cli' })
    const until = new Date(Date.now() + left)
    await at.lab.store.pin(parseDigest(id), { owner: 'prepull:base', reason: '', since: new Date(), until })
    leftMs = left
    given.length = 0
    at.declare([list('base', [image])])
    await at.until(() => at.state()?.kind === 'here')
    expect(given.map((ms) => Math.round(ms / DAY))).toEqual(times === 1 ? [7] : [])
    const [pin] = (await at.lab.store.find(image.name))?.pins ?? []
    expect(Math.round(((pin?.until?.getTime() ?? 0) - Date.now()) / DAY)).toBe(times === 1 ? 7 : 4)
  }
})

test('each login of its secrets is tried until one is accepted', async () => {
  const users: string[] = []
  const at = await open({
    means: {
      ...means,
      loginsFor: async () => ['old', 'new'].map((username) => ({ kind: 'basic' as const, username, password: 'p' })),
    },
    placeIn: (lab) => ({
      store: lab.store,
      puller: {
        inFlight: () => [],
        watch: () => {},
        pull: async (request, options) => {
          const { credentials } = request
          users.push(credentials.kind === 'basic' ? credentials.username : credentials.kind)
          lab.registry.fault = () => (users.at(-1) === 'old' ? { kind: 'status', status: 403, code: 'DENIED' } : undefined)
          return await lab.puller.pull(request, options)
        },
      },
    }),
  })
  await using _ = at
  at.declare([list('base', [at.declared('a:1')])])
  await at.until(() => at.state()?.kind === 'here')
  expect(users).toEqual(['old', 'new'])
})
