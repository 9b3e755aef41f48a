import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createImageService } from '../../src/cri/image-service.ts'
import { createRuntimeImageService, type OwnPath, type RuntimeImageParts } from '../../src/cri/runtime-image-service.ts'
import { type Failure, type FailureKind, WindlassError } from '../../src/failure/failure.ts'
import { createCollector } from '../../src/gc/gc.ts'
import type { PullRequest } from '../../src/pull/pull.ts'
import { imagePath } from '../../src/rpc/codec.ts'
import { serviceDefinitions } from '../../src/rpc/proto.ts'
import type { ImageHandlers } from '../../src/rpc/services.ts'
import { createUpstream } from '../../src/rpc/upstream.ts'
import { createPassthrough, fixedPassthrough } from '../../src/runtime/passthrough.ts'
import type { RuntimeFacts } from '../../src/runtime/runtime.ts'
import type { StoredImage } from '../../src/store/store.ts'
import { startDaemon, testServices, unbounded } from '../rpc/daemon.ts'
import { type CallSaying, callIn, startForeign, type Unary } from '../rpc/foreign.ts'
import { memoryStore, planOf, storedImage } from '../rpc/parts.ts'

const app = storedImage('app', { tags: ['r.example/app:1'] })
const facts: RuntimeFacts = { name: 'containerd', version: '1.6.20', otherSnapshotters: new Map(), obstacles: [] }
const reference = 'r.example/app:1'
const tried = [{ host: 'r.example', result: 'connection refused' }]
const unavailable: Failure = { kind: 'registry-unavailable', reference, tried }
/** Field 7001, a string nobody here knows. */
const unknownField = Buffer.from([0xca, 0xb5, 0x03, 3, ...Buffer.from('new')])

const definition = (name: string): grpc.MethodDefinition<unknown, unknown> => {
  const method = serviceDefinitions().image[name]
  if (method === undefined) throw new Error(name)
  return method
}
const requestOf = (name: string, request: object): Buffer =>
  Buffer.concat([definition(name).requestSerialize(request), unknownField])
const answerOf = (name: string, bytes: Buffer | undefined): unknown =>
  definition(name).responseDeserialize(bytes ?? Buffer.from([0xff]))
const pullBytes = (image: object = { image: reference }) => requestOf('PullImage', { image })

type Wishes = Partial<Omit<RuntimeImageParts, 'upstream' | 'log' | 'onForwarded'>> & {
  /** What our puller makes of a pull; the image `app` unless told. */
  readonly pulls?: (request: PullRequest, signal: AbortSignal) => Promise<StoredImage>
  readonly path?: Partial<OwnPath>
  /** What the runtime answers, by method; OK with an unknown field where nothing is said. */
  readonly runtimeSays?: Readonly<Record<string, Unary>>
}

/** Our service on a socket, a runtime behind it that records what comes, and the order in which things happen. */
async function start({ pulls = async () => app, path: own = {}, runtimeSays = {}, ...parts }: Wishes = {}) {
  await using cleanup = new AsyncDisposableStack()
  const dir = cleanup.use(await mkdtempDisposable(join(tmpdir(), 'windlass-beside-')))
  const happened: string[] = []
  const received: Record<string, Buffer[]> = {}
  const record =
    (name: string): Unary =>
    (call, callback) => {
      happened.push(`runtime ${name}`)
      received[name] = [...(received[name] ?? []), call.request]
      const say = runtimeSays[name]
      if (say === undefined) callback(null, unknownField)
      else say(call, callback)
    }
  const names: readonly (keyof ImageHandlers)[] = ['listImages', 'imageStatus', 'imageFsInfo', 'pullImage', 'removeImage']
  const unary = Object.fromEntries(names.map((name) => [imagePath(name), record(name)]))
  const runtime = cleanup.use(await startForeign(join(dir.path, 'runtime.sock'), { unary }))
  const upstream = cleanup.use(createUpstream('containerd', runtime.path))
  const forwarded: string[] = []
  const logged: object[] = []
  const puller: OwnPath['puller'] = {
    pull: async (request, { signal }) => {
      happened.push('our pull')
      const image = await pulls(request, signal)
      return { image, plan: planOf(image, request) }
    },
  }
  const ourPath: OwnPath = { puller, facts, failurePolicy: 'Forward', ...own }
  const image = createRuntimeImageService({
    runtime: 'containerd',
    passthrough: createPassthrough(() => {}),
    own: () => ourPath,
    ...parts,
    upstream,
    onForwarded: (reason) => void forwarded.push(reason),
    log: { info: (fields) => void logged.push(fields), warn: (fields) => void logged.push(fields) },
  })
  const daemon = cleanup.use(await startDaemon({ ...testServices().services, image }))
  const held = cleanup.move()
  onTestFinished(() => held.disposeAsync())
  const call = (name: keyof ImageHandlers, bytes: Buffer, saying: CallSaying = {}) =>
    callIn('unary', daemon.path, imagePath(name), bytes, saying)
  return { happened, received, forwarded, logged, runtime, daemon, call }
}

const refusing =
  (code: grpc.status, details: string): Unary =>
  (_call, callback) =>
    callback({ code, details })

describe('a pull', () => {
  it('is ours, and answered with the id in the form the runtime has', async () => {
    for (const [runtime, id] of [
      ['containerd', app.id],
      ['crio', app.id.slice('sha256:'.length)],
    ] as const) {
      const requests: PullRequest[] = []
      const { call, happened, forwarded } = await start({
        runtime,
        pulls: async (request) => {
          requests.push(request)
          return app
        },
      })
      const auth = { username: 'u', password: 'p' }
      const { messages } = await call('pullImage', requestOf('PullImage', { image: { image: 'r.example/app:1' }, auth }))
      expect(answerOf('PullImage', messages[0])).toEqual({ imageRef: id })
      expect(requests).toMatchObject([{ client: 'cri', credentials: { kind: 'basic', username: 'u', password: 'p' } }])
      expect([happened, forwarded]).toEqual([['our pull'], []])
    }
  })

  it('is answered once the runtime knows the image', async () => {
    const known = Promise.withResolvers<void>()
    const asked: string[] = []
    const confirm: OwnPath['confirm'] = async (id) => {
      asked.push(id)
      await known.promise
    }
    const { call } = await start({ runtime: 'crio', path: { confirm } })
    let answered = false
    const answer = call('pullImage', pullBytes()).then((given) => {
      answered = true
      return given
    })
    await expect.poll(() => asked).toEqual([app.id.slice(7)])
    expect(answered).toBe(false)
    known.resolve()
    expect((await answer).status.code).toBe(grpc.status.OK)
  })

  it.each<[string, Wishes, image: object, reason: string]>([
    ['passthrough is on', { passthrough: fixedPassthrough('bad configuration') }, {}, 'passthrough'],
    ['our path is not open', { own: () => ({ missing: 'it is being opened' }) }, {}, 'not-ready'],
    ['the runtime has image verifiers', { path: { facts: { ...facts, obstacles: ['it asks verifiers'] } } }, {}, 'obstacle'],
    [
      'its handler has another snapshotter',
      { path: { facts: { ...facts, otherSnapshotters: new Map([['kata', 'devmapper']]) } } },
      { runtimeHandler: 'kata' },
      'runtime-handler',
    ],
  ])('goes to the runtime as it came where %s', async (_, wishes, image, reason) => {
    const { call, received, happened, forwarded, logged } = await start(wishes)
    const bytes = pullBytes({ image: reference, ...image })
    const { messages, status } = await call('pullImage', bytes)
    expect(status.code).toBe(grpc.status.OK)
    expect(messages).toEqual([unknownField])
    expect(received.pullImage).toEqual([bytes])
    expect([happened, forwarded]).toEqual([['runtime pullImage'], [reason]])
    expect(logged).toEqual([expect.objectContaining({ reason, text: expect.stringMatching(/./) })])
  })

  it('is ours for a handler that has the same snapshotter', async () => {
    const { call, happened } = await start({ path: { facts: { ...facts, otherSnapshotters: new Map([['kata', 'x']]) } } })
    await call('pullImage', pullBytes({ image: reference, runtimeHandler: 'runc' }))
    expect(happened).toEqual(['our pull'])
  })

  it('goes to the runtime where the pod’s annotation names such a handler', async () => {
    const { call, happened } = await start({ path: { facts: { ...facts, otherSnapshotters: new Map([['kata', 'devmapper']]) } } })
    const sandboxConfig = { annotations: { 'io.containerd.cri.runtime-handler': 'kata' } }
    await call('pullImage', requestOf('PullImage', { image: { image: reference }, sandboxConfig }))
    expect(happened).toEqual(['runtime pullImage'])
  })

  it('goes to the runtime where our path was closed under it', async () => {
    const closed = new WindlassError({ kind: 'cancelled', reason: 'shutdown' })
    const { call, happened, forwarded } = await start({ pulls: () => Promise.reject(closed) })
    await call('pullImage', pullBytes())
    expect([happened, forwarded]).toEqual([['our pull', 'runtime pullImage'], ['not-ready']])
  })

  it.each<[string, Failure]>([
    ['a layer of an odd type', { kind: 'unsupported', what: 'layer', mediaType: 'x.nondistributable.tar', hint: 'h' }],
    [
      'a registry that answers, however badly',
      { kind: 'registry-unavailable', reference, tried: [{ host: 'h', result: '503', answered: true }] },
    ],
  ])('does not go past our limits by %s', async (_, failure) => {
    const { call, happened } = await start({ pulls: () => Promise.reject(new WindlassError(failure)) })
    await call('pullImage', pullBytes())
    expect(happened).toEqual(['our pull'])
  })

  it('makes the image one that stays, whoever has pulled it, and is answered though that fails', async () => {
    const stayed: string[] = []
    const images: NonNullable<OwnPath['images']> = {
      find: async (name) => (name === reference ? app : undefined),
      expiries: { begin: () => Promise.reject(new Error('no')), stays: async ({ id }) => stayed.push(id) > 0 },
    }
    const ours = await start({ path: { images } })
    await ours.call('pullImage', pullBytes())
    expect(stayed.splice(0)).toEqual([app.id])
    const theirs = await start({ path: { images }, pulls: () => Promise.reject(new WindlassError(unavailable)) })
    await theirs.call('pullImage', pullBytes())
    expect([theirs.happened, stayed.splice(0)]).toEqual([['our pull', 'runtime pullImage'], [app.id]])
    // The switch means that nothing of ours is done.
    const off = await start({ path: { images }, passthrough: fixedPassthrough('switched') })
    await off.call('pullImage', pullBytes())
    expect([off.happened, stayed]).toEqual([['runtime pullImage'], []])

    const down = new Error('containerd is away')
    for (const pulls of [async () => app, () => Promise.reject(new WindlassError(unavailable))]) {
      const stays = () => Promise.reject(down)
      const failing = await start({ path: { images: { ...images, expiries: { begin: stays, stays } } }, pulls })
      expect((await failing.call('pullImage', pullBytes())).status.code).toBe(grpc.status.OK)
      expect(failing.logged).toContainEqual(expect.objectContaining({ err: down }))
    }
  })

  it('is made once more where the image has gone by itself while it was found here', async () => {
    let looks = 0
    const expiries = { begin: () => Promise.reject(new Error('no')), stays: async () => ++looks > 1 }
    const { call, happened } = await start({ path: { images: { find: async () => undefined, expiries } } })
    const { messages } = await call('pullImage', pullBytes())
    expect(answerOf('PullImage', messages[0])).toEqual({ imageRef: app.id })
    expect([happened, looks]).toEqual([['our pull', 'our pull'], 2])
  })

  it('goes to the runtime where we cannot read it', async () => {
    const { call, received, forwarded } = await start()
    const bytes = Buffer.from([0x0a, 0xff, 0x01])
    await call('pullImage', bytes)
    expect([received.pullImage, forwarded]).toEqual([[bytes], ['unreadable']])
  })
})

/** Every way to fail, and whether the runtime may try what failed so. */
const samples = {
  'invalid-reference': [{ kind: 'invalid-reference', input: 'X', reason: 'r' }, false],
  'invalid-argument': [{ kind: 'invalid-argument', what: 'w', reason: 'r' }, false],
  'bad-config': [{ kind: 'bad-config', file: 'hosts.toml', reason: 'r' }, true],
  'manifest-unknown': [{ kind: 'manifest-unknown', reference, tried }, false],
  'blob-unknown': [{ kind: 'blob-unknown', reference, digest: 'd', tried }, false],
  'no-platform': [{ kind: 'no-platform', reference, wanted: 'linux/s390x', offered: [] }, false],
  unauthorized: [{ kind: 'unauthorized', reference, host: 'h', detail: 'd' }, false],
  denied: [{ kind: 'denied', reference, host: 'h', detail: 'd' }, false],
  'rate-limited': [{ kind: 'rate-limited', reference, host: 'h' }, false],
  'registry-unavailable': [unavailable, true],
  'access-unconfirmed': [{ kind: 'access-unconfirmed', reference, tried }, false],
  'digest-mismatch': [{ kind: 'digest-mismatch', what: 'layer', want: 'a', got: 'b', from: 'h' }, false],
  'size-mismatch': [{ kind: 'size-mismatch', digest: 'd', want: 1, got: 2, from: 'h' }, false],
  unsupported: [{ kind: 'unsupported', what: 'layer', mediaType: 'x+encrypted', hint: 'h' }, true],
  malformed: [{ kind: 'malformed', what: 'manifest', from: 'h', reason: 'r' }, false],
  'bad-layer': [{ kind: 'bad-layer', digest: 'd', reason: 'r' }, false],
  'bad-archive': [{ kind: 'bad-archive', archive: 'a', reason: 'r' }, false],
  limit: [{ kind: 'limit', what: 'w', limit: 1, setting: 's' }, false],
  'no-space': [{ kind: 'no-space', path: '/x', code: 'ENOSPC' }, false],
  cancelled: [{ kind: 'cancelled', reason: 'cancelled' }, false],
  'image-unknown': [{ kind: 'image-unknown', names: ['a'] }, false],
  'not-permitted': [{ kind: 'not-permitted', what: 'w', missing: ['CAP_MKNOD'] }, true],
  'root-in-use': [{ kind: 'root-in-use', root: '/r' }, true],
  passthrough: [{ kind: 'passthrough', reason: 'r' }, true],
  'layer-in-use': [{ kind: 'layer-in-use', layer: 'l', mounts: ['/m'] }, true],
  damaged: [{ kind: 'damaged', damaged: 1, unknown: 0, unverifiable: 0 }, false],
  unhealthy: [{ kind: 'unhealthy', failed: 1 }, false],
  unpullable: [{ kind: 'unpullable', failed: 1 }, false],
  'not-here-yet': [{ kind: 'not-here-yet', afterSeconds: 1, waiting: [], more: 0 }, false],
  'no-daemon': [{ kind: 'no-daemon', socket: '/s', reason: 'r' }, true],
  'socket-denied': [{ kind: 'socket-denied', socket: '/s' }, true],
  'runtime-down': [{ kind: 'runtime-down', runtime: 'containerd', socket: '/s', reason: 'r' }, true],
  runtime: [{ kind: 'runtime', runtime: 'containerd', socket: '/s', operation: 'o', code: 'UNKNOWN', detail: 'd' }, true],
  'both-failed': [{ kind: 'both-failed', ours: unavailable, said: 's' }, false],
  system: [{ kind: 'system', operation: 'rename', code: 'EIO' }, true],
  internal: [{ kind: 'internal', what: 'w' }, true],
} as const satisfies { readonly [K in FailureKind]: readonly [Extract<Failure, { readonly kind: K }>, boolean] }

describe('a pull that failed here', () => {
  const failing = (failure: Failure) => async (): Promise<StoredImage> => {
    throw new WindlassError(failure)
  }

  it.each(Object.values(samples))('with %o may go to the runtime: %s', async (failure, may) => {
    const { call, received, happened, forwarded } = await start({ pulls: failing(failure) })
    const bytes = pullBytes()
    const { status, messages } = await call('pullImage', bytes)
    expect(happened).toEqual(may ? ['our pull', 'runtime pullImage'] : ['our pull'])
    expect(forwarded).toEqual(may ? [failure.kind] : [])
    if (!may) expect(status.code).not.toBe(grpc.status.OK)
    else expect([messages, received.pullImage]).toEqual([[unknownField], [bytes]])
  })

  it('stays failed where the policy is Fail', async () => {
    const { call, happened } = await start({ pulls: failing(unavailable), path: { failurePolicy: 'Fail' } })
    expect((await call('pullImage', pullBytes())).status).toMatchObject({
      code: grpc.status.UNKNOWN,
      details: expect.stringMatching(/^RegistryUnavailable: /),
    })
    expect(happened).toEqual(['our pull'])
  })

  it('goes to the runtime where the runtime does not take in what we landed', async () => {
    const silence = new WindlassError(samples.runtime[0])
    const { call, happened, forwarded } = await start({ runtime: 'crio', path: { confirm: () => Promise.reject(silence) } })
    expect((await call('pullImage', pullBytes())).messages).toEqual([unknownField])
    expect([happened, forwarded]).toEqual([['our pull', 'runtime pullImage'], ['runtime']])
  })

  it('and then in the runtime says both, ours first, in the code and with the prefix kubelet reads', async () => {
    const { call } = await start({
      pulls: failing(unavailable),
      runtimeSays: { pullImage: refusing(grpc.status.NOT_FOUND, 'failed to pull:\n no such host') },
    })
    const { status } = await call('pullImage', pullBytes())
    expect(status).toMatchObject({
      code: grpc.status.UNKNOWN,
      details: expect.stringMatching(
        /^RegistryUnavailable: r\.example\/app:1: .*; the runtime tried too: failed to pull: no such host$/,
      ),
    })
    expect(status.metadata.get('windlass-failure')).toEqual(['both-failed'])
  })

  it('says so too where the runtime is gone', async () => {
    const { call, runtime } = await start({ pulls: failing(unavailable) })
    runtime.crash()
    const { status } = await call('pullImage', pullBytes(), { deadline: new Date(Date.now() + 1_000) })
    expect(status.details).toMatch(/^RegistryUnavailable: .*; the runtime tried too: containerd does not answer on /)
  })

  it('because its caller left is not made again', async () => {
    const leaving = new AbortController()
    const { call, daemon, happened, forwarded } = await start({
      pulls: async (_request, signal) => {
        leaving.abort()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        throw new WindlassError({ kind: 'internal', what: 'the fetch was cut' })
      },
    })
    const { status } = await call('pullImage', pullBytes(), { signal: leaving.signal })
    expect(status.code).toBe(grpc.status.CANCELLED)
    await expect.poll(() => daemon.records).toHaveLength(1)
    expect([happened, forwarded]).toEqual([['our pull'], []])
  })
})

describe('beside containerd', () => {
  it('everything else goes to it as it came', async () => {
    const { call, received } = await start()
    for (const [method, name, request] of [
      ['listImages', 'ListImages', { filter: { image: { image: '' } } }],
      ['imageStatus', 'ImageStatus', { image: { image: reference }, verbose: true }],
      ['imageFsInfo', 'ImageFsInfo', {}],
      ['removeImage', 'RemoveImage', { image: { image: app.id } }],
    ] as const) {
      const bytes = requestOf(name, request)
      expect((await call(method, bytes)).messages).toEqual([unknownField])
      expect(received[method]).toEqual([bytes])
    }
  })

  it('a removal that fails, fails in its words', async () => {
    const { call } = await start({ runtimeSays: { removeImage: refusing(grpc.status.FAILED_PRECONDITION, 'in use') } })
    expect((await call('removeImage', requestOf('RemoveImage', { image: { image: app.id } }))).status).toMatchObject({
      code: grpc.status.FAILED_PRECONDITION,
      details: 'in use',
    })
  })
})

describe('beside CRI-O', () => {
  const removal = (image: string) => requestOf('RemoveImage', { image: { image, runtimeHandler: 'kata' } })

  /** With a store of our own that says what is done to it. */
  async function beside(runtimeSays: Wishes['runtimeSays'] = {}, more: Wishes = {}) {
    const { store } = memoryStore(app)
    const steps: string[] = []
    const told = {
      ...store,
      remove: async (id: typeof app.id) => {
        steps.push('our removal')
        return await store.remove(id)
      },
    }
    const service = createImageService({
      puller: { pull: () => Promise.reject(new Error('not asked')) },
      store: told,
      collector: createCollector(store),
      log: { info: () => {}, warn: () => {} },
    })
    const removeImage: Unary = (call, callback) => {
      steps.push('their removal')
      const say = runtimeSays.removeImage
      if (say === undefined) callback(null, unknownField)
      else say(call, callback)
    }
    const started = await start({ runtime: 'crio', path: { store: service }, runtimeSays: { removeImage }, ...more })
    return { ...started, steps, store }
  }

  it('a removal is ours first, by whatever name, and then its', async () => {
    for (const name of [reference, app.id, app.id.slice(7)]) {
      const { call, steps, received, store } = await beside()
      const bytes = removal(name)
      expect((await call('removeImage', bytes)).status.code).toBe(grpc.status.OK)
      expect(steps).toEqual(['our removal', 'their removal'])
      expect(received.removeImage).toEqual([bytes])
      expect(await store.images()).toEqual([])
    }
  })

  it('it is enough that one of the two had the image', async () => {
    const unknown = { removeImage: refusing(grpc.status.UNKNOWN, 'image not known') }
    const ours = await beside(unknown)
    expect((await ours.call('removeImage', removal(app.id))).status.code).toBe(grpc.status.OK)
    const neither = await beside(unknown)
    expect((await neither.call('removeImage', removal('r.example/other:1'))).status).toMatchObject({ details: 'image not known' })
    const theirs = await beside()
    expect((await theirs.call('removeImage', removal('r.example/other:1'))).status.code).toBe(grpc.status.OK)
    expect(theirs.steps).toEqual(['their removal'])
  })

  it('a removal that fails here is made there all the same, and then told', async () => {
    const broken = createImageService({
      puller: { pull: () => Promise.reject(new Error('not asked')) },
      store: {
        ...memoryStore(app).store,
        remove: () => Promise.reject(new WindlassError({ kind: 'no-space', path: '/store', code: 'ENOSPC' })),
      },
      collector: createCollector(memoryStore().store),
      log: { info: () => {}, warn: () => {} },
    })
    const { call, happened } = await start({ runtime: 'crio', path: { store: broken } })
    expect((await call('removeImage', removal(app.id))).status).toMatchObject({
      details: expect.stringContaining('no space left'),
    })
    expect(happened).toEqual(['runtime removeImage'])
  })

  it('the file system is ours, lists are its', async () => {
    const { call, happened } = await beside()
    const { messages } = await call('imageFsInfo', requestOf('ImageFsInfo', {}))
    expect(answerOf('ImageFsInfo', messages[0])).toMatchObject({
      imageFilesystems: [{ fsId: { mountpoint: '/store' } }],
      containerFilesystems: [{ fsId: { mountpoint: '/store' } }],
    })
    expect((await call('listImages', requestOf('ListImages', {}))).messages).toEqual([unknownField])
    expect(happened).toEqual(['runtime listImages'])
  })

  it('with passthrough on, all of it is its', async () => {
    const { call, steps, happened } = await beside({}, { passthrough: fixedPassthrough('r') })
    await call('removeImage', removal(app.id))
    await call('imageFsInfo', requestOf('ImageFsInfo', {}))
    expect(steps).toEqual(['their removal'])
    expect(happened).toEqual(['runtime removeImage', 'runtime imageFsInfo'])
  })
})

it('passthrough is switched between two pulls, and whoever listens hears of it', async () => {
  const states: object[] = []
  const passthrough = createPassthrough((state) => states.push(state))
  const { call, happened, daemon } = await start({ passthrough })
  expect(passthrough.set(true, 'incident')).toBe(true)
  await call('pullImage', pullBytes())
  passthrough.set(false, '')
  await call('pullImage', pullBytes())
  expect(happened).toEqual(['runtime pullImage', 'our pull'])
  expect(states).toEqual([{ on: true, reason: 'incident', since: expect.any(Date) }, { on: false }])
  expect(await daemon.client.runtime.version({}, { signal: unbounded })).toMatchObject({ runtimeName: 'windlass' })
})
