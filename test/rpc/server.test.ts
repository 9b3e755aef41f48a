import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { connect as connectSocket } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { expect, it, vi } from 'vitest'
import { WindlassError } from '../../src/failure/failure.ts'
import { connect } from '../../src/rpc/client.ts'
import { serviceDefinitions } from '../../src/rpc/proto.ts'
import { serve } from '../../src/rpc/server.ts'
import { RpcError, statusNames } from '../../src/rpc/status.ts'
import { collect, startDaemon, testServices, unbounded } from './daemon.ts'
import { storedImage } from './parts.ts'

const signal = unbounded
const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error' as const,
    (error: unknown) => (error instanceof RpcError ? { code: error.code, kind: error.kind, message: error.message } : error),
  )
const pull = { image: { image: 'r.example/app:1' } }

/** A client of the socket that knows no proto: raw bytes for any method. */
function rawCall(path: string, method: string, request: Buffer, options: grpc.ClientOptions = {}) {
  const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure(), {
    'grpc.default_authority': 'localhost',
    ...options,
  })
  const same = (bytes: Buffer) => bytes
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(method, same, same, request, (error, response) => {
      client.close()
      if (error === null && response !== undefined) resolve(response)
      else reject(error)
    })
  })
}

it('names every status as gRPC does, at its number', () => {
  expect(statusNames.map((name) => grpc.status[name])).toEqual(statusNames.map((_, number) => number))
})

it('listens with the mode it is told', async () => {
  await using daemon = await startDaemon(testServices().services)
  expect((statSync(daemon.path).mode & 0o777).toString(8)).toBe('660')
})

it('answers what it does not have with UNIMPLEMENTED', async () => {
  await using daemon = await startDaemon(testServices().services)
  for (const method of ['/runtime.v1.RuntimeService/RunPodSandbox', '/runtime.v1.ImageService/PushImage', '/other.Service/X']) {
    await expect(rawCall(daemon.path, method, Buffer.alloc(0))).rejects.toMatchObject({ code: grpc.status.UNIMPLEMENTED })
  }
})

it('understands a kubelet that knows more fields than we do', async () => {
  const image = storedImage('one', { tags: ['r.example/app:1'] })
  await using daemon = await startDaemon(testServices(image).services)
  const { ImageStatus } = serviceDefinitions().image
  if (ImageStatus === undefined) throw new Error('no ImageStatus')
  const known = ImageStatus.requestSerialize({ image: { image: 'r.example/app:1' } })
  // Field 999, a string; field 998, a varint; both inside no message we know.
  const unknown = Buffer.from([0xba, 0x3e, 0x03, 0x6e, 0x65, 0x77, 0xb0, 0x3e, 0x2a])
  const answer = await rawCall(daemon.path, ImageStatus.path, Buffer.concat([known, unknown]))
  expect(ImageStatus.responseDeserialize(answer)).toMatchObject({ image: { id: image.id } })
})

it('survives bytes that are no message, and no HTTP/2', async () => {
  await using daemon = await startDaemon(testServices().services)
  const method = '/runtime.v1.ImageService/ImageStatus'
  await expect(rawCall(daemon.path, method, Buffer.from([0x0a, 0xff, 0xff]))).rejects.toMatchObject({
    code: grpc.status.INTERNAL,
  })
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(70_000, 0xff), Buffer.alloc(0)]) {
    const socket = connectSocket(daemon.path)
    await once(socket, 'connect')
    socket.on('error', () => {}) // A reset is an answer too.
    socket.resume()
    socket.end(bytes)
    await once(socket, 'close')
  }
  expect(await daemon.client.runtime.version({}, { signal })).toMatchObject({ runtimeName: 'windlass' })
})

it('takes requests of more than 4 MiB and refuses those above 16', async () => {
  await using daemon = await startDaemon(testServices().services)
  const ask = (mebibytes: number) =>
    daemon.client.image.imageStatus({ image: { image: 'x'.repeat(mebibytes * 2 ** 20) } }, { signal })
  expect(await outcome(ask(5))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(await outcome(ask(17))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' })
})

it('ends a call at its deadline, and tells the handler that it was the deadline', async () => {
  const { services, driven } = testServices()
  await using daemon = await startDaemon(services)
  const deadline = () => new Date(Date.now() + 1)
  await daemon.client.runtime.version({}, { signal }) // Connected: the deadline is the call's alone.
  expect(await outcome(daemon.client.image.pullImage(pull, { signal, deadline: deadline() }))).toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  })

  const call = daemon.client.image.pullImage(pull, { signal, deadline: new Date(Date.now() + 100) })
  const ended = outcome(call)
  const held = await driven.next()
  const last = held.signal.aborted ? held : { signal: held.signal }
  if (!last.signal.aborted) await once(last.signal, 'abort')
  expect(last.signal.reason).toMatchObject({ failure: { kind: 'cancelled', reason: 'deadline' } })
  expect(await ended).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
  await vi.waitFor(() => expect(daemon.records).toContainEqual(expect.objectContaining({ code: 'DEADLINE_EXCEEDED' })), 20_000)
})

it('does not take a deadline of years for one that has passed', async () => {
  const { services, driven } = testServices()
  await using daemon = await startDaemon(services)
  const image = storedImage('far')
  const call = daemon.client.image.pullImage(pull, { signal, deadline: new Date(Date.now() + 20 * 86_400_000) })
  ;(await driven.next()).succeed(image)
  expect(await call).toEqual({ imageRef: image.id })
})

it('aborts the handler of a client that leaves, by its signal or by closing its connection', async () => {
  const { services, driven } = testServices()
  await using daemon = await startDaemon(services)
  const leaving = new AbortController()
  const ended = outcome(daemon.client.image.pullImage(pull, { signal: leaving.signal }))
  const first = await driven.next()
  leaving.abort()
  if (!first.signal.aborted) await once(first.signal, 'abort')
  expect(first.signal.reason).toMatchObject({ failure: { kind: 'cancelled', reason: 'cancelled' } })
  expect(await ended).toMatchObject({ code: 'CANCELLED' })

  const closing = await connect(daemon.path, { signal })
  const cut = outcome(closing.image.pullImage(pull, { signal }))
  const second = await driven.next()
  closing[Symbol.dispose]()
  if (!second.signal.aborted) await once(second.signal, 'abort')
  expect(await cut).toMatchObject({ code: 'CANCELLED' })
})

it('makes no call for a caller who has left already', async () => {
  const { services, driven } = testServices()
  await using daemon = await startDaemon(services)
  expect(await outcome(daemon.client.image.pullImage(pull, { signal: AbortSignal.abort() }))).toMatchObject({ code: 'CANCELLED' })
  const stream = daemon.client.windlass.pull({ reference: 'app' }, { signal: AbortSignal.abort() })
  expect(await outcome(collect(stream))).toMatchObject({ code: 'CANCELLED' })
  expect(driven.untaken()).toBe(0)
})

it('stops within its bound: handlers hear of the shutdown, callers of UNAVAILABLE, the socket is gone', async () => {
  const { services, driven } = testServices()
  await using daemon = await startDaemon(services)
  const unary = outcome(daemon.client.image.pullImage(pull, { signal }))
  const held = await driven.next()
  const watching = outcome(collect(daemon.client.windlass.watchPulls({}, { signal })))
  await vi.waitFor(() => expect(driven.watchers.size).toBe(1), 20_000)

  await daemon.server.close(5_000)
  expect(held.signal.reason).toMatchObject({ failure: { reason: 'shutdown' } })
  expect(await unary).toMatchObject({ code: 'UNAVAILABLE', kind: 'cancelled', message: 'the daemon is shutting down' })
  expect(await watching).toMatchObject({ code: 'UNAVAILABLE' })
  expect(existsSync(daemon.path)).toBe(false)
  await daemon.server.close(5_000)
})

it('cuts a handler that does not let go, once the bound has passed', async () => {
  const { services } = testServices()
  const deaf = new Promise<never>(() => {})
  const stuck = { ...services, image: { ...services.image, handlers: { ...services.image.handlers, imageStatus: () => deaf } } }
  await using daemon = await startDaemon(stuck)
  const ended = outcome(daemon.client.image.imageStatus(pull, { signal }))
  await daemon.client.runtime.version({}, { signal })
  const start = performance.now()
  await daemon.server.close(200)
  expect(performance.now() - start).toBeGreaterThan(190)
  expect(await ended).toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|CANCELLED/) })
})

it('starts again on the path of one that stopped', async () => {
  const { services } = testServices()
  await using daemon = await startDaemon(services)
  await daemon.server.close(1_000)
  const second = await serve(services, { path: daemon.path, mode: 0o600, onCall: () => {}, onError: () => {}, signal })
  using client = await connect(daemon.path, { signal })
  expect(await client.runtime.version({}, { signal })).toMatchObject({ runtimeVersion: '1.2.3' })
  await second.close(1_000)
})

it('sends any message as one line that gRPC can carry, with the kind beside it', async () => {
  const { services, driven } = testServices()
  await using daemon = await startDaemon(services)
  const failing = async (reason: string) => {
    const ended = outcome(daemon.client.image.pullImage(pull, { signal }))
    ;(await driven.next()).fail(new WindlassError({ kind: 'malformed', what: 'manifest', from: 'r', reason }))
    return ended
  }
  expect(await failing('100 % wrong\r\n  at \ud800 half a pair, ü')).toEqual({
    code: 'UNKNOWN',
    kind: 'malformed',
    message: 'manifest from r is malformed: 100 % wrong at \ufffd half a pair, ü',
  })
  const long = await failing('x'.repeat(1_000_000))
  expect(long).toMatchObject({ code: 'UNKNOWN' })
  expect(JSON.stringify(long).length).toBeLessThan(5_000)
})

it('hands what a handler threw to the log, with its cause, and tells every call', async () => {
  const { services, driven } = testServices()
  await using daemon = await startDaemon(services)
  const ended = outcome(daemon.client.image.pullImage(pull, { signal }))
  const bug = new TypeError('undefined is not a layer')
  ;(await driven.next()).fail(bug)
  expect(await ended).toMatchObject({ code: 'UNKNOWN', kind: 'internal' })
  await daemon.client.runtime.version({}, { signal })
  expect(daemon.records).toMatchObject([
    { method: '/runtime.v1.ImageService/PullImage', code: 'UNKNOWN', error: { failure: { kind: 'internal' }, cause: bug } },
    { method: '/runtime.v1.RuntimeService/Version', code: 'OK' },
  ])
})

it('gives a pull its caller’s trace, and tells what kind of call it was', async () => {
  const { services, driven } = testServices()
  await using daemon = await startDaemon(services)
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  const image = storedImage('one')
  const byKubelet = daemon.client.image.pullImage(pull, { signal, metadata: { traceparent } })
  const first = await driven.next()
  first.succeed(image)
  await byKubelet
  const byUs = collect(daemon.client.windlass.pull({ reference: 'r.example/app:1' }, { signal, metadata: { traceparent } }))
  const second = await driven.next()
  second.succeed(image)
  await byUs
  expect([first, second].map(({ request }) => request.traceparent)).toEqual([traceparent, traceparent])
  await vi.waitFor(() => expect(daemon.records.map(({ type }) => type)).toEqual(['unary', 'server_stream']), 20_000)
})

it('serves beside a thousand idle connections', async () => {
  await using daemon = await startDaemon(testServices().services)
  const idle = Array.from({ length: 1_000 }, () => connectSocket(daemon.path))
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  expect(await daemon.client.runtime.version({}, { signal })).toMatchObject({ runtimeName: 'windlass' })
  for (const socket of idle) socket.destroy()
})
