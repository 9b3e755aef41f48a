/** A node's ImageService beside a runtime: what passes as bytes, what is ours, and what is handed on. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { createRuntimeImageService, type OwnPath, type RuntimeImageParts } from '../../src/cri/runtime-image-service.ts'
import { createRuntimeService } from '../../src/cri/runtime-service.ts'
import { type Failure, type FailureKind, WindlassError } from '../../src/failure/failure.ts'
import { parseDigest } from '../../src/oci/digest.ts'
import type { PullRequest } from '../../src/pull/pull.ts'
import { imageCodec, imagePath } from '../../src/rpc/codec.ts'
import { serve } from '../../src/rpc/server.ts'
import type { ImageHandlers, RawContext, RawHandlers } from '../../src/rpc/services.ts'
import { ForeignStatus } from '../../src/rpc/status.ts'
import { createUpstream, type Upstream } from '../../src/rpc/upstream.ts'
import { createPassthrough, fixedPassthrough } from '../../src/runtime/passthrough.ts'
import type { RuntimeFacts } from '../../src/runtime/runtime.ts'
import { testServices } from '../rpc/daemon.ts'
import { planOf, storedImage } from '../rpc/parts.ts'

const { signal } = new AbortController()
let resources = new AsyncDisposableStack()
afterEach(async () => {
  await resources.disposeAsync()
  resources = new AsyncDisposableStack()
})

/** Field 1000, a varint: no proto of today has it. */
const unknownField = Buffer.from([0xc0, 0x3e, 0x07])
const facts: RuntimeFacts = {
  name: 'containerd',
  version: '1.7.0',
  snapshotter: 'overlayfs',
  otherSnapshotters: new Map([['kata', 'devmapper']]),
  obstacles: [],
}
const context = (more: Partial<RawContext> = {}): RawContext => ({
  signal,
  metadata: new grpc.Metadata(),
  sendHeaders: () => {},
  sendTrailers: () => {},
  ...more,
})
const image = storedImage('app')
const pullRequest = (name = 'r.test/app:1', runtimeHandler = ''): Buffer => {
  // The generic encoder of the request, which a server has no other use for.
  const spec = Buffer.concat([
    field(1, Buffer.from(name)),
    ...(runtimeHandler === '' ? [] : [field(19, Buffer.from(runtimeHandler))]),
  ])
  return field(1, spec)
}
const field = (number: number, bytes: Buffer): Buffer => {
  const tag = (number << 3) | 2
  const head = tag < 128 ? [tag] : [(tag & 127) | 128, tag >> 7]
  return Buffer.concat([Buffer.from([...head, bytes.length]), bytes])
}

type Seen = { readonly method: string; readonly request: Buffer; readonly call: RawContext }

/** A runtime that remembers what it was asked, byte by byte. */
async function startRuntime(answers: Partial<RawHandlers<ImageHandlers>> = {}) {
  const dir = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-cri-')))
  const path = join(dir.path, 'runtime.sock')
  const seen: Seen[] = []
  const answer = (method: string) => async (request: Buffer, call: RawContext) => {
    seen.push({ method, request, call })
    return Buffer.concat([request, unknownField])
  }
  const raw: RawHandlers<ImageHandlers> = {
    listImages: answer('listImages'),
    imageStatus: answer('imageStatus'),
    pullImage: answer('pullImage'),
    removeImage: answer('removeImage'),
    imageFsInfo: answer('imageFsInfo'),
    streamImages: async function* (request, call) {
      seen.push({ method: 'streamImages', request, call })
      for (const part of ['one', 'two']) yield Buffer.concat([request, Buffer.from(part)])
    },
    ...answers,
  }
  const { services } = testServices()
  const boot = () =>
    serve(
      { ...services, image: { raw, statusOf: services.image.statusOf } },
      { path, mode: 0o600, onCall: () => {}, onError: () => {}, signal },
    )
  let server = await boot()
  resources.defer(() => server.close(0))
  return {
    path,
    seen,
    restart: async () => {
      await server.close(0)
      return async () => {
        server = await boot()
      }
    },
  }
}

/** Our service beside it, and a client that sends bytes. */
async function startBeside(runtime: { readonly path: string }, parts: Partial<RuntimeImageParts> = {}) {
  const dir = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-cri-')))
  const upstream = resources.use(createUpstream('containerd', runtime.path))
  const path = join(dir.path, 'windlass.sock')
  const forwarded: string[] = []
  const { services } = testServices()
  const image = createRuntimeImageService({
    runtime: 'containerd',
    upstream,
    passthrough: createPassthrough(() => {}),
    own: () => ownPath(() => Promise.reject(new Error('nothing is pulled here'))),
    onForwarded: (reason) => forwarded.push(reason),
    log: { info: () => {}, warn: () => {} },
    ...parts,
  })
  const server = await serve(
    { ...services, image, runtime: createRuntimeService('1.2.3') },
    { path, mode: 0o600, onCall: () => {}, onError: () => {}, signal },
  )
  resources.defer(() => server.close(0))
  return { client: resources.use(createUpstream('windlass', path)), forwarded }
}

const ownPath = (pull: OwnPath['puller']['pull'], more: Partial<OwnPath> = {}): OwnPath => ({
  puller: { pull },
  facts,
  failurePolicy: 'Forward',
  ...more,
})
const pulls = async (request: PullRequest) => ({ image, plan: planOf(image, request) })
const fails = (failure: Failure) => (): Promise<never> => Promise.reject(new WindlassError(failure))
const endOf = async (call: Promise<Buffer>): Promise<ForeignStatus> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ForeignStatus)) throw new Error(`wanted a failed call, got ${String(error)}`)
  return error
}
const pull = (client: Upstream, request = pullRequest()): Promise<Buffer> =>
  client.unary(imagePath('pullImage'), request, context())

describe('what is the runtime’s', () => {
  it.each(['listImages', 'imageStatus', 'removeImage', 'imageFsInfo'] as const)(
    '%s passes byte by byte, both ways',
    async (method) => {
      const runtime = await startRuntime()
      const { client } = await startBeside(runtime)
      const request = Buffer.concat([pullRequest(), unknownField])
      expect(await client.unary(imagePath(method), request, context())).toEqual(Buffer.concat([request, unknownField]))
      expect(runtime.seen.map(({ method, request }) => ({ method, request }))).toEqual([{ method, request }])
    },
  )

  it('streams pass message by message', async () => {
    const runtime = await startRuntime()
    const { client } = await startBeside(runtime)
    const messages: string[] = []
    for await (const message of client.stream(imagePath('streamImages'), unknownField, context()))
      messages.push(message.subarray(unknownField.length).toString())
    expect(messages).toEqual(['one', 'two'])
  })

  it('answers of many megabytes pass', async () => {
    const large = Buffer.alloc(12 * 2 ** 20, 7)
    const { client } = await startBeside(await startRuntime({ listImages: async () => large }))
    expect((await client.unary(imagePath('listImages'), Buffer.alloc(0), context())).equals(large)).toBe(true)
  })

  it('takes along what the caller says beside its request, and when it stops waiting', async () => {
    const runtime = await startRuntime()
    const { client } = await startBeside(runtime)
    const metadata = new grpc.Metadata()
    metadata.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
    metadata.set('custom-bin', Buffer.from([0, 255]))
    const deadline = new Date(Date.now() + 5_000)
    await client.unary(imagePath('listImages'), Buffer.alloc(0), context({ metadata, deadline }))
    const call = runtime.seen[0]?.call
    expect(call?.metadata.get('traceparent')).toEqual(metadata.get('traceparent'))
    expect(call?.metadata.get('custom-bin')).toEqual([Buffer.from([0, 255])])
    expect(Math.abs((call?.deadline?.getTime() ?? 0) - deadline.getTime())).toBeLessThan(1_000)
  })

  it('tells the runtime when the caller leaves', async () => {
    const left = Promise.withResolvers<unknown>()
    const asked = Promise.withResolvers<void>()
    const runtime = await startRuntime({
      imageStatus: (_, { signal }) => {
        asked.resolve()
        signal.addEventListener('abort', () => left.resolve(signal.reason))
        return new Promise(() => {})
      },
    })
    const { client } = await startBeside(runtime)
    const caller = new AbortController()
    const call = client.unary(imagePath('imageStatus'), Buffer.alloc(0), context({ signal: caller.signal })).catch(() => {})
    await asked.promise
    caller.abort()
    expect(await left.promise).toMatchObject({ failure: { kind: 'cancelled' } })
    await call
  })

  it('hands back how a call ended, with its details', async () => {
    const metadata = new grpc.Metadata()
    metadata.set('grpc-status-details-bin', Buffer.from([1, 2, 3]))
    const status = { code: grpc.status.RESOURCE_EXHAUSTED, details: 'said by the runtime', metadata }
    const { client } = await startBeside(await startRuntime({ imageStatus: () => Promise.reject(new ForeignStatus(status)) }))
    const end = await endOf(client.unary(imagePath('imageStatus'), Buffer.alloc(0), context()))
    expect(end).toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: 'said by the runtime' })
    expect(end.status.metadata.get('grpc-status-details-bin')).toEqual([Buffer.from([1, 2, 3])])
  })

  it('waits for a runtime that is being restarted', async () => {
    const runtime = await startRuntime()
    const { client } = await startBeside(runtime)
    await client.unary(imagePath('listImages'), Buffer.alloc(0), context())
    const start = await runtime.restart()
    const call = client.unary(imagePath('listImages'), unknownField, context())
    await start()
    expect(await call).toEqual(Buffer.concat([unknownField, unknownField]))
  })

  it('says who does not answer, within the caller’s time', async () => {
    const { client } = await startBeside({ path: '/nowhere/runtime.sock' })
    const end = await endOf(
      client.unary(imagePath('listImages'), Buffer.alloc(0), context({ deadline: new Date(Date.now() + 300) })),
    )
    expect(['UNAVAILABLE', 'DEADLINE_EXCEEDED']).toContain(end.code)
    const patient = await endOf(client.unary(imagePath('listImages'), Buffer.alloc(0), context()))
    expect(patient.message).toContain('containerd does not answer on /nowhere/runtime.sock (no such socket)')
  })
})

describe('a pull', () => {
  it('is ours, and answered with the id in the runtime’s form', async () => {
    const runtime = await startRuntime()
    const decoded = async (parts: Partial<RuntimeImageParts>): Promise<Buffer> => pull((await startBeside(runtime, parts)).client)
    const answer = (imageRef: string): Buffer => imageCodec('pullImage').response({ imageRef })
    expect(await decoded({ own: () => ownPath(pulls) })).toEqual(answer(image.id))
    expect(await decoded({ runtime: 'crio', own: () => ownPath(pulls) })).toEqual(answer(image.id.slice('sha256:'.length)))
    expect(runtime.seen).toEqual([])
  })

  it('is not answered before the runtime knows the image', async () => {
    const order: string[] = []
    const pullAndTell: OwnPath['puller']['pull'] = async (request) => {
      order.push('pulled')
      return await pulls(request)
    }
    const own = ownPath(pullAndTell, {
      confirm: async (ref) => void order.push(`confirmed ${ref}`),
    })
    await pull((await startBeside(await startRuntime(), { runtime: 'crio', own: () => own })).client)
    expect(order).toEqual(['pulled', `confirmed ${image.id.slice(7)}`])
  })

  const handed: readonly (readonly [string, string, Partial<RuntimeImageParts>, Buffer?])[] = [
    ['passthrough is on', 'passthrough', { passthrough: fixedPassthrough('by hand') }],
    ['our path is not open', 'not-ready', { own: () => ({ missing: 'containerd starts' }) }],
    [
      'the runtime pulls in its own way',
      'obstacle',
      { own: () => ownPath(pulls, { facts: { ...facts, obstacles: ['verifiers'] } }) },
    ],
    [
      'the handler has another snapshotter',
      'runtime-handler',
      { own: () => ownPath(pulls) },
      pullRequest('r.test/app:1', 'kata'),
    ],
  ]
  it.for(handed)('is handed on as it came where %s', async ([, reason, parts, request = pullRequest()]) => {
    const runtime = await startRuntime()
    const { client, forwarded } = await startBeside(runtime, parts)
    const bytes = Buffer.concat([request, unknownField])
    expect(await pull(client, bytes)).toEqual(Buffer.concat([bytes, unknownField]))
    expect(runtime.seen.map(({ request }) => request)).toEqual([bytes])
    expect(forwarded).toEqual([reason])
  })

  const digest = parseDigest(`sha256:${'a'.repeat(64)}`)
  const tried = [{ host: 'r.test', result: '404' }]
  const reference = 'r.test/app:1'
  const failures: { readonly [K in FailureKind]: readonly [Extract<Failure, { kind: K }>, boolean] } = {
    'invalid-reference': [{ kind: 'invalid-reference', input: 'x', reason: 'r' }, false],
    'invalid-argument': [{ kind: 'invalid-argument', what: 'x', reason: 'r' }, false],
    'manifest-unknown': [{ kind: 'manifest-unknown', reference, tried }, false],
    'blob-unknown': [{ kind: 'blob-unknown', reference, digest, tried }, false],
    'image-unknown': [{ kind: 'image-unknown', names: ['x'] }, false],
    'no-platform': [{ kind: 'no-platform', reference, wanted: 'linux/amd64', offered: [] }, false],
    unauthorized: [{ kind: 'unauthorized', reference, host: 'r.test', detail: 'no' }, false],
    denied: [{ kind: 'denied', reference, host: 'r.test', detail: 'no' }, false],
    'rate-limited': [{ kind: 'rate-limited', reference, host: 'r.test' }, false],
    'digest-mismatch': [{ kind: 'digest-mismatch', what: 'layer', want: digest, got: 'b', from: 'r.test' }, false],
    'size-mismatch': [{ kind: 'size-mismatch', digest, want: 1, got: 2, from: 'r.test' }, false],
    malformed: [{ kind: 'malformed', what: 'manifest', from: 'r.test', reason: 'r' }, false],
    'bad-layer': [{ kind: 'bad-layer', digest, reason: 'r' }, false],
    limit: [{ kind: 'limit', what: 'size', limit: 1, setting: 's' }, false],
    'no-space': [{ kind: 'no-space', code: 'ENOSPC' }, false],
    cancelled: [{ kind: 'cancelled', reason: 'cancelled' }, false],
    'registry-unavailable': [{ kind: 'registry-unavailable', reference, tried }, true],
    unsupported: [{ kind: 'unsupported', what: 'layer', mediaType: 'm', hint: 'h' }, true],
    'not-permitted': [{ kind: 'not-permitted', what: 'unpacking', missing: ['CAP_MKNOD'] }, true],
    'bad-config': [{ kind: 'bad-config', file: 'f', reason: 'r' }, true],
    'root-in-use': [{ kind: 'root-in-use', root: '/r' }, true],
    passthrough: [{ kind: 'passthrough', reason: 'r' }, true],
    'no-daemon': [{ kind: 'no-daemon', socket: 's', reason: 'r' }, true],
    'runtime-down': [{ kind: 'runtime-down', runtime: 'containerd', socket: 's', reason: 'r' }, true],
    'both-failed': [{ kind: 'both-failed', ours: { kind: 'internal', what: 'w' }, said: 's' }, false],
    runtime: [{ kind: 'runtime', runtime: 'containerd', socket: 's', operation: 'o', code: 'UNKNOWN', detail: 'd' }, true],
    system: [{ kind: 'system', operation: 'openat', code: 'EIO' }, true],
    internal: [{ kind: 'internal', what: 'w' }, true],
  }
  it.each(Object.values(failures).map((each) => [each[0].kind, each[1], each[0]] as const))(
    'that fails with %s is handed on: %s',
    async (kind, isForwarded, failure) => {
      const runtime = await startRuntime()
      const { client, forwarded } = await startBeside(runtime, { own: () => ownPath(fails(failure)) })
      if (isForwarded) expect(await pull(client)).toEqual(Buffer.concat([pullRequest(), unknownField]))
      else await endOf(pull(client))
      expect(runtime.seen).toHaveLength(isForwarded ? 1 : 0)
      expect(forwarded).toEqual(isForwarded ? [kind] : [])
      // With the other policy nothing is.
      const strict = await startBeside(runtime, { own: () => ownPath(fails(failure), { failurePolicy: 'Fail' }) })
      await endOf(pull(strict.client))
      expect(strict.forwarded).toEqual([])
    },
  )

  it('that fails twice is told as ours, kubelet’s prefix first', async () => {
    const theirs = { code: grpc.status.NOT_FOUND, details: 'no such\nhost', metadata: new grpc.Metadata() }
    const runtime = await startRuntime({ pullImage: () => Promise.reject(new ForeignStatus(theirs)) })
    const { client } = await startBeside(runtime, { own: () => ownPath(fails(failures['registry-unavailable'][0])) })
    const end = await endOf(pull(client))
    expect(end.code).toBe('UNKNOWN')
    expect(end.message).toMatch(/^RegistryUnavailable: r\.test\/app:1: .*; the runtime tried too: no such host$/)
  })
})

describe('beside CRI-O', () => {
  it('images of our own store go first, then the runtime’s; the disk is ours', async () => {
    const runtime = await startRuntime()
    const { services, calls } = testServices(image)
    if (!('handlers' in services.image)) throw new Error('the test services are not raw')
    const store = { ...services.image, handlers: services.image.handlers }
    const { client } = await startBeside(runtime, { runtime: 'crio', own: () => ownPath(pulls, { store }) })
    await client.unary(imagePath('removeImage'), field(1, field(1, Buffer.from(image.id))), context())
    expect(calls).toContain(`remove ${image.id}`)
    expect(runtime.seen.map(({ method }) => method)).toEqual(['removeImage'])
    const info = await client.unary(imagePath('imageFsInfo'), Buffer.alloc(0), context())
    expect(info.includes('/store')).toBe(true)
    expect(runtime.seen).toHaveLength(1)
  })
})
