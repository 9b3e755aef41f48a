import { once } from 'node:events'
import { expect, it, onTestFinished } from 'vitest'
import { WindlassError } from '../../src/failure/failure.ts'
import type { LayerReport, PullStatus } from '../../src/pull/pull.ts'
import { RpcError } from '../../src/rpc/status.ts'
import { collect, startDaemon, testServices, unbounded } from '../rpc/daemon.ts'
import { layerOf, planOf, storedImage } from '../rpc/parts.ts'

const signal = unbounded
const app = storedImage('app', {
  tags: ['r.example/app:1', 'r.example/app:2'],
  digests: [`r.example/app@sha256:${'d'.repeat(64)}`],
})
const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' }
const report: LayerReport = {
  origin: 'registry',
  host: 'r.example',
  blobSize: 1_001,
  diffSize: 10_001,
  entries: 7,
  whiteouts: 1,
  queuedMs: 0.5,
  startMs: 0,
  networkMs: 1.5,
  unpackMs: 2.5,
  waitMs: 0.25,
  inflateMs: 1.25,
  hashMs: 0.5,
  writeMs: 0.75,
  belowMs: 0.25,
  commitMs: 0.5,
  attempts: 2,
  warnings: ['trusted.* xattr ignored'],
}

const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error' as const,
    (error: unknown) => (error instanceof RpcError ? { code: error.code, kind: error.kind, message: error.message } : error),
  )

async function start(...images: Parameters<typeof testServices>) {
  const parts = testServices(...images)
  const daemon = await startDaemon(parts.services)
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  return { ...parts, ...daemon, windlass: daemon.client.windlass }
}

it('streams what happens in a pull, every kind of event with every figure', async () => {
  const { windlass, driven } = await start()
  const request = { reference: 'r.example/app:1', credentials: { username: 'u', password: 'p' }, platform: 'linux/arm64/v8' }
  const events = collect(windlass.pull(request, { signal }))
  const pull = await driven.next()
  expect(pull.request).toEqual({
    reference: { registry: 'r.example', repository: 'app', tag: '1' },
    credentials: { kind: 'basic', username: 'u', password: 'p' },
    platform: { os: 'linux', architecture: 'arm64' },
    client: 'control',
  })
  pull.emit({
    type: 'resolved',
    root: app.manifest,
    manifest: app.manifest,
    platform,
    host: 'r.example',
    ms: 6.5,
    queuedMs: 0.5,
    tokenMs: 1.5,
  })
  pull.emit({ type: 'planned', plan: planOf(app, pull.request) })
  pull.emit({ type: 'progress', layer: 1, state: 'downloading', bytes: 512 })
  pull.emit({ type: 'layer', layer: 1, report })
  pull.emit({ type: 'sealed', syncMs: 41, publishMs: 2 })
  pull.emit({ type: 'done', imageId: app.id, ms: 800, verdict: 'bottleneck: unpacking layer 1' })
  pull.succeed(app)

  const manifest = { mediaType: app.manifest.mediaType, digest: app.manifest.digest, size: 500 }
  const got = await events
  expect(got.map(({ event }) => event)).toEqual(['resolved', 'planned', 'progress', 'layer', 'sealed', 'done'])
  expect(got[0]?.resolved).toEqual({
    root: manifest,
    manifest,
    platform: 'linux/arm64/v8',
    host: 'r.example',
    ms: 6.5,
    queuedMs: 0.5,
    tokenMs: 1.5,
  })
  expect(got[1]?.planned?.plan).toMatchObject({
    reference: 'r.example/app:1',
    platform: 'linux/arm64',
    imageId: app.id,
    layers: [{ origin: 'here' }, { origin: 'registry', diffId: layerOf(app, 1).diffId, blob: { size: 1_001 } }],
    bytesToFetch: 1_001,
    bytesHere: 1_000,
  })
  expect(got[2]?.progress).toEqual({ layer: 1, state: 'downloading', bytes: 512 })
  expect(got[3]?.layer).toEqual({ layer: 1, ...report })
  expect(got[4]?.sealed).toEqual({ syncMs: 41, publishMs: 2 })
  expect(got[5]?.done).toEqual({ imageId: app.id, ms: 800, verdict: 'bottleneck: unpacking layer 1' })
})

it('drops only stale progress towards a client that does not read', async () => {
  const { windlass, driven } = await start()
  const stream = windlass.pull({ reference: 'app' }, { signal })[Symbol.asyncIterator]()
  const first = stream.next()
  const pull = await driven.next()
  pull.emit({ type: 'progress', layer: 0, state: 'waiting', bytes: 0 })
  await first

  // More than the sockets and streams in between will hold.
  const updates = 300_000
  for (let bytes = 1; bytes <= updates; bytes++) {
    pull.emit({ type: 'progress', layer: bytes % 4, state: 'downloading', bytes })
    if (bytes % 1_000 === 0) await new Promise(setImmediate)
  }
  for (let layer = 0; layer < 4; layer++) pull.emit({ type: 'layer', layer, report })
  pull.emit({ type: 'done', imageId: app.id, ms: 1, verdict: 'v' })
  pull.succeed(app)

  const rest = await collect({ [Symbol.asyncIterator]: () => stream })
  const latest = new Map(rest.flatMap(({ progress }) => (progress ? [[progress.layer, progress.bytes]] : [])))
  expect(rest.length).toBeLessThan(updates / 10)
  expect([...latest.values()].sort()).toEqual([updates - 3, updates - 2, updates - 1, updates])
  expect(rest.slice(-5).map(({ event }) => event)).toEqual(['layer', 'layer', 'layer', 'layer', 'done'])
})

it('ends a failed pull with a status that says what to do, after the events so far', async () => {
  const { windlass, driven } = await start()
  const seen: (string | undefined)[] = []
  const reading = (async () => {
    for await (const { event } of windlass.pull({ reference: 'r.example/app' }, { signal })) seen.push(event)
  })()
  const pull = await driven.next()
  pull.emit({ type: 'progress', layer: 0, state: 'waiting', bytes: 0 })
  pull.fail(
    new WindlassError({
      kind: 'no-platform',
      reference: 'r.example/app:latest',
      wanted: 'linux/s390x',
      offered: ['linux/amd64'],
    }),
  )
  expect(await rejection(reading)).toEqual({
    code: 'FAILED_PRECONDITION',
    kind: 'no-platform',
    message: expect.stringContaining('it offers linux/amd64'),
  })
  expect(seen).toEqual(['progress'])
})

it('lets go of the pull when its reader leaves the loop', async () => {
  const { windlass, driven } = await start()
  const reading = (async () => {
    for await (const _ of windlass.pull({ reference: 'app' }, { signal })) break
  })()
  const pull = await driven.next()
  pull.emit({ type: 'progress', layer: 0, state: 'waiting', bytes: 0 })
  await reading
  if (!pull.signal.aborted) await once(pull.signal, 'abort')
  expect(pull.signal.reason).toMatchObject({ failure: { kind: 'cancelled', reason: 'cancelled' } })
})

it('ends a stream at its deadline even when the client does not read', async () => {
  const { windlass, driven } = await start()
  const stream = windlass.pull({ reference: 'app' }, { signal, deadline: new Date(Date.now() + 300) })[Symbol.asyncIterator]()
  const first = stream.next()
  const pull = await driven.next()
  pull.emit({ type: 'progress', layer: 0, state: 'waiting', bytes: 0 })
  await first
  if (!pull.signal.aborted) await once(pull.signal, 'abort')
  expect(pull.signal.reason).toMatchObject({ failure: { kind: 'cancelled', reason: 'deadline' } })
  expect(await rejection(stream.next())).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
})

it.each([
  [{ reference: '' }],
  [{ reference: 'Not A Reference' }],
  [{ reference: 'app', platform: 'linux/amd64/v1/x' }],
  [{ reference: 'app', platform: 'windows/amd64' }],
  [{ reference: 'app', credentials: { registryToken: 'two\r\nlines' } }],
  [{ reference: 'app', credentials: { identityToken: 'two\nlines' } }],
])('refuses %j before anything starts', async (request) => {
  const { windlass, driven } = await start()
  expect(await rejection(collect(windlass.pull(request, { signal })))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(await rejection(windlass.plan(request, { signal }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(driven.untaken()).toBe(0)
})

it('plans without pulling', async () => {
  const { windlass, driven } = await start()
  const { plan } = await windlass.plan({ reference: 'app', platform: 'arm64' }, { signal })
  expect(plan).toMatchObject({
    reference: 'docker.io/library/app:latest',
    platform: 'linux/arm64',
    bytesToFetch: 1_001,
    present: false,
  })
  expect(driven.untaken()).toBe(0)
})

it('shows the pulls in flight, now and whenever they change', async () => {
  const { windlass, driven } = await start()
  const [digest] = [layerOf(app, 0).diffId]
  const status = (bytes: number): PullStatus => ({
    id: '0123abcd',
    reference: 'r.example/app:1',
    platform,
    clients: ['cri', 'cri', 'control'],
    startedAt: new Date(1_700_000_000_000),
    phase: 'pulling',
    layers: [{ digest, size: 1_000, state: 'downloading', bytes }],
  })
  driven.show([status(1)])
  const shown = (bytes: number) => ({
    pulls: [
      {
        id: '0123abcd',
        reference: 'r.example/app:1',
        platform: 'linux/arm64/v8',
        clients: ['cri', 'cri', 'control'],
        startedAtMs: 1_700_000_000_000,
        phase: 'pulling',
        layers: [{ digest, size: 1_000, state: 'downloading', bytes }],
      },
    ],
  })
  expect(await windlass.listPulls({}, { signal })).toEqual(shown(1))

  const leaving = new AbortController()
  const watch = windlass.watchPulls({}, { signal: leaving.signal })[Symbol.asyncIterator]()
  expect((await watch.next()).value).toEqual(shown(1))
  driven.show([status(2)])
  expect((await watch.next()).value).toEqual(shown(2))
  driven.show([])
  expect((await watch.next()).value).toEqual({ pulls: [] })
  leaving.abort()
  expect(await rejection(watch.next())).toMatchObject({ code: 'CANCELLED' })
  await expect.poll(() => driven.watchers.size).toBe(0)
})

it('inspects an image, its documents as they came and its layers where they are', async () => {
  const { windlass } = await start(app)
  const image = await windlass.inspectImage({ image: 'r.example/app:1' }, { signal })
  expect(image).toMatchObject({
    id: app.id,
    tags: app.tags,
    digests: app.digests,
    platform: 'linux/amd64',
    size: app.size,
    pulledAtMs: app.pulledAt.getTime(),
    overlayDir: '/store/overlay',
    receipts: [{ identity: 'cafe', name: 'r.example/app@sha256:1', atMs: 1_700_000_000_000 }],
    receiptsSinceMs: 0,
    layers: [
      { diff: layerOf(app, 0).diff, short: 'l/0', diffSize: 10_000 },
      { layerId: app.layerIds[1], whiteouts: 1 },
    ],
  })
  expect(image.configJson.equals(app.configBytes)).toBe(true)
  expect(image.manifestJson.toString()).toBe('manifest app')
  expect(await windlass.inspectImage({ image: app.id.slice(7, 19) }, { signal })).toEqual(image)
  expect(await rejection(windlass.inspectImage({ image: 'absent' }, { signal }))).toMatchObject({
    code: 'NOT_FOUND',
    kind: 'image-unknown',
  })
})

it('removes a tag alone, the image with its last tag, and by id at once', async () => {
  const { windlass, calls, logged } = await start(app, storedImage('other', { tags: ['r.example/other:1'] }))
  expect(await windlass.removeImage({ image: 'r.example/app:1' }, { signal })).toMatchObject({
    imageId: app.id,
    untagged: ['r.example/app:1'],
    imageRemoved: false,
  })
  expect(await windlass.removeImage({ image: 'r.example/app:2' }, { signal })).toMatchObject({
    untagged: ['r.example/app:2'],
    imageRemoved: true,
    layersRemoved: 1,
    bytesFreed: 10_001,
  })
  const other = await windlass.inspectImage({ image: 'r.example/other:1' }, { signal })
  expect(await windlass.removeImage({ image: other.id }, { signal })).toMatchObject({
    untagged: ['r.example/other:1'],
    imageRemoved: true,
  })
  expect(await windlass.removeImage({ image: other.id }, { signal })).toMatchObject({ imageId: '', imageRemoved: false })
  expect(calls.filter((call) => call === 'collect')).toHaveLength(3)
  expect(logged).toEqual([
    { client: 'control', image: app.id, tags: ['r.example/app:1'] },
    { client: 'control', image: app.id, tags: ['r.example/app:2'] },
    { client: 'control', image: other.id, tags: ['r.example/other:1'] },
  ])
})

it('says which daemon this is', async () => {
  const { windlass } = await start()
  expect(await windlass.info({}, { signal })).toEqual({
    version: '1.2.3',
    // The store of this test is on no disk.
    disk: null,
    imageBytes: 0,
    nodeVersion: process.version,
    root: '/store',
    pid: process.pid,
    platform: 'linux/arm64/v9',
    runtime: null,
    passthrough: null,
  })
})
