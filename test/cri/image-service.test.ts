import { once } from 'node:events'
import { expect, it, onTestFinished } from 'vitest'
import { WindlassError } from '../../src/failure/failure.ts'
import { RpcError } from '../../src/rpc/status.ts'
import { collect, startDaemon, testServices, unbounded } from '../rpc/daemon.ts'
import { layerOf, storedImage } from '../rpc/parts.ts'

const signal = unbounded
const digest = `sha256:${'d'.repeat(64)}`
const app = storedImage('app', {
  tags: ['docker.io/library/app:latest', 'r.example/team/app:v1'],
  digests: [`r.example/team/app@${digest}`],
})
const tool = storedImage('tool', { tags: ['docker.io/library/tool:2'], pinned: true, run: { user: '0:0', labels: { a: 'b' } } })

const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error' as const,
    (error: unknown) => (error instanceof RpcError ? { code: error.code, message: error.message } : error),
  )

async function start(...images: Parameters<typeof testServices>) {
  const parts = testServices(...images)
  const daemon = await startDaemon(parts.services)
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  return { ...parts, ...daemon, cri: daemon.client.image }
}

it.each([
  ['app', app],
  ['app:latest', app],
  ['docker.io/library/app', app],
  ['index.docker.io/app', app],
  ['r.example/team/app:v1', app],
  [`r.example/team/app@${digest}`, app],
  [`r.example/team/app:whatever@${digest}`, app],
  [app.id, app],
  [app.id.slice('sha256:'.length), app],
  [app.id.slice('sha256:'.length, 20), app],
  [app.id.slice(0, 20), app],
  ['tool:2', tool],
])('knows %s', async (name, image) => {
  const { cri } = await start(app, tool)
  expect((await cri.imageStatus({ image: { image: name } }, { signal })).image?.id).toBe(image.id)
  const listed = await cri.listImages({ filter: { image: { image: name } } }, { signal })
  expect(listed.images.map(({ id }) => id)).toEqual([image.id])
})

it('says what an image is, in the fields kubelet reads', async () => {
  const { cri } = await start(app, tool)
  const { images } = await cri.listImages({}, { signal })
  expect(images).toEqual([
    {
      id: app.id,
      repoTags: ['docker.io/library/app:latest', 'r.example/team/app:v1'],
      repoDigests: [`r.example/team/app@${digest}`],
      size: app.size,
      uid: null,
      username: '',
      spec: null,
      pinned: false,
    },
    expect.objectContaining({ id: tool.id, uid: { value: 0 }, pinned: true }),
  ])
})

it('lists everything for crictl, which sends an empty name, and nothing for a name that is not here', async () => {
  const { cri } = await start(app, tool)
  expect((await cri.listImages({ filter: { image: { image: '' } } }, { signal })).images).toHaveLength(2)
  expect((await cri.listImages({ filter: {} }, { signal })).images).toHaveLength(2)
  expect((await cri.listImages({ filter: { image: { image: 'absent' } } }, { signal })).images).toEqual([])
})

it('answers OK without an image for one that is not here', async () => {
  const { cri } = await start(app)
  for (const image of ['absent', '0'.repeat(64), `sha256:${'0'.repeat(64)}`, `r.example/x@${digest}`]) {
    expect(await cri.imageStatus({ image: { image }, verbose: true }, { signal })).toEqual({ image: null, info: {} })
  }
})

it('tells crictl inspecti the chain, the config document and the layers', async () => {
  const { cri } = await start(tool)
  const { info } = await cri.imageStatus({ image: { image: 'tool:2' }, verbose: true }, { signal })
  expect(Object.keys(info)).toEqual(['info'])
  expect(JSON.parse(info.info ?? '')).toMatchObject({
    chainID: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    imageSpec: { os: 'linux', architecture: 'amd64', seed: 'tool' },
    labels: { a: 'b' },
    manifest: { digest: tool.manifest.digest },
    layers: [
      { digest: tool.layers[0]?.digest, size: 1_000, diffID: layerOf(tool, 0).diffId, unpackedSize: 10_000, whiteouts: 0 },
      { size: 1_001, unpackedSize: 10_001, whiteouts: 1 },
    ],
  })
  expect((await cri.imageStatus({ image: { image: 'tool:2' } }, { signal })).info).toEqual({})
})

it('pulls what the reference means, and returns the id that ListImages has', async () => {
  const { cri, driven } = await start(app)
  const pulling = cri.pullImage({ image: { image: 'app' }, sandboxConfig: { metadata: { namespace: 'n' } } }, { signal })
  const pull = await driven.next()
  expect(pull.request).toEqual({
    reference: { registry: 'docker.io', repository: 'library/app', tag: 'latest' },
    credentials: { kind: 'anonymous' },
    client: 'cri',
  })
  pull.succeed(app)
  expect(await pulling).toEqual({ imageRef: app.id })
})

it('refuses bad input with INVALID_ARGUMENT, and changes nothing', async () => {
  const { cri, calls, driven } = await start(app)
  const refused = { code: 'INVALID_ARGUMENT' }
  for (const image of ['', 'UPPER case', 'http://r.example/app', 'app:', 'a/../b', 'app@sha256:12', '::', 'x'.repeat(5_000)]) {
    const spec = { image: { image } }
    expect(await rejection(cri.pullImage(spec, { signal })), image).toMatchObject(refused)
    expect(await rejection(cri.imageStatus(spec, { signal })), image).toMatchObject(refused)
    expect(await rejection(cri.removeImage(spec, { signal })), image).toMatchObject(refused)
  }
  for (const call of [cri.pullImage, cri.imageStatus, cri.removeImage])
    expect(await rejection(call({}, { signal }))).toMatchObject(refused)
  const spec = { image: 'app', runtimeHandler: 'kata' }
  const handler = { ...refused, message: expect.stringContaining('kata') }
  expect(await rejection(cri.pullImage({ image: spec }, { signal }))).toMatchObject(handler)
  expect(await rejection(cri.listImages({ filter: { image: spec } }, { signal }))).toMatchObject(handler)
  expect(await rejection(cri.pullImage({ image: { image: 'app' }, auth: { auth: '&%$' } }, { signal }))).toMatchObject(refused)
  expect(calls).toEqual([])
  expect(driven.untaken()).toBe(0)
})

it('removes an image with all its tags, once, and then what nobody holds', async () => {
  const { cri, calls, logged } = await start(app, tool)
  const remove = (image: string) => cri.removeImage({ image: { image } }, { signal })
  await remove('r.example/team/app:v1')
  expect(calls).toEqual([`remove ${app.id}`, 'collect'])
  expect((await cri.imageStatus({ image: { image: 'app' } }, { signal })).image).toBeNull()
  await remove('r.example/team/app:v1')
  await remove('0'.repeat(64))
  expect(calls).toHaveLength(2)
  expect(logged).toEqual([{ client: 'cri', image: app.id, tags: app.tags }])
  await Promise.all(Array.from({ length: 5 }, () => remove(tool.id)))
  expect((await cri.listImages({}, { signal })).images).toEqual([])
})

it('answers ImageFsInfo from what the store measured, on both lists, in nanoseconds', async () => {
  const { cri } = await start()
  const { imageFilesystems, containerFilesystems } = await cri.imageFsInfo({}, { signal })
  expect(imageFilesystems).toHaveLength(1)
  expect(imageFilesystems[0]).toMatchObject({
    fsId: { mountpoint: '/store' },
    usedBytes: { value: 123_456 },
    inodesUsed: { value: 42 },
  })
  // A double holds nanoseconds to 256.
  expect(Math.abs((imageFilesystems[0]?.timestamp ?? 0) - 1_700_000_000_123_000_000)).toBeLessThan(1_000)
  expect(containerFilesystems).toEqual(imageFilesystems)
})

it('lists 10,000 images in one message, and streams them in batches, each once', async () => {
  const many = Array.from({ length: 10_000 }, (_, i) =>
    storedImage(`n${i}`, { tags: [`r.example/many/image-${i}:v1`], digests: [`r.example/many/image-${i}@${digest}`] }),
  )
  const { cri } = await start(...many)
  const { images } = await cri.listImages({}, { signal })
  expect(images).toHaveLength(10_000)
  const batches = await collect(cri.streamImages({}, { signal }))
  expect(batches.map((batch) => batch.images.length)).toEqual([3_000, 3_000, 3_000, 1_000])
  expect(batches.flatMap((batch) => batch.images)).toEqual(images)
  expect(new Set(images.map(({ id }) => id)).size).toBe(10_000)
  expect(await collect(cri.streamImages({ filter: { image: { image: 'absent' } } }, { signal }))).toEqual([])
})

it('lets callers leave one pull each', async () => {
  const { cri, driven } = await start()
  const leaving = new AbortController()
  const left = rejection(cri.pullImage({ image: { image: 'app' } }, { signal: leaving.signal }))
  const first = await driven.next()
  const staying = cri.pullImage({ image: { image: 'app' } }, { signal })
  const second = await driven.next()
  leaving.abort()
  expect(await left).toMatchObject({ code: 'CANCELLED' })
  if (!first.signal.aborted) await once(first.signal, 'abort')
  expect(second.signal.aborted).toBe(false)
  second.succeed(app)
  expect(await staying).toEqual({ imageRef: app.id })
})

it('says what went wrong where kubelet reads it', async () => {
  const { cri, driven } = await start()
  const pulling = rejection(cri.pullImage({ image: { image: 'r.example/app' } }, { signal }))
  const tried = [{ host: 'r.example', result: 'connection refused' }]
  ;(await driven.next()).fail(new WindlassError({ kind: 'registry-unavailable', reference: 'r.example/app:latest', tried }))
  expect(await pulling).toEqual({
    code: 'UNKNOWN',
    message: expect.stringMatching(/^RegistryUnavailable: r\.example\/app:latest: .*connection refused/),
  })
})
