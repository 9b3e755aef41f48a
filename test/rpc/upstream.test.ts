import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { expect, it, onTestFinished, vi } from 'vitest'
import { statusOf } from '../../src/cri/status.ts'
import { imagePath } from '../../src/rpc/codec.ts'
import type { ImageHandlers, RawService } from '../../src/rpc/services.ts'
import { createUpstream, type Repeatable } from '../../src/rpc/upstream.ts'
import { startDaemon, testServices } from './daemon.ts'
import { callIn, type Methods, type Stream, startForeign, type Unary } from './foreign.ts'

const [list, pull, streamed] = [imagePath('listImages'), imagePath('pullImage'), imagePath('streamImages')]
/** Field 7001, bytes; field 7002, a varint: in no message anybody here knows. */
const unknown = (text: string): Buffer =>
  Buffer.from([0xca, 0xb5, 0x03, text.length, ...Buffer.from(text), 0xd0, 0xb5, 0x03, 0x2a])
const request = unknown('there')
const ok: Unary = (_call, callback) => callback(null, unknown('back'))

/** Our socket in front of somebody else's. Calls that look are repeatable, pulls and removals are not. */
async function start(methods: Methods) {
  await using cleanup = new AsyncDisposableStack()
  const dir = cleanup.use(await mkdtempDisposable(join(tmpdir(), 'windlass-upstream-')))
  const foreign = cleanup.use(await startForeign(join(dir.path, 'foreign.sock'), methods))
  const upstream = cleanup.use(createUpstream('containerd', foreign.path))
  const hand =
    (method: keyof ImageHandlers, options: Repeatable = {}): RawService<ImageHandlers>['raw']['listImages'] =>
    (bytes, call) =>
      upstream.unary(imagePath(method), bytes, call, options)
  const look = { repeatable: true }
  const image: RawService<ImageHandlers> = {
    statusOf,
    raw: {
      listImages: hand('listImages', look),
      imageStatus: hand('imageStatus', look),
      imageFsInfo: hand('imageFsInfo', look),
      pullImage: hand('pullImage'),
      removeImage: hand('removeImage'),
      streamImages: (bytes, call) => upstream.stream(streamed, bytes, call, look),
    },
  }
  const daemon = cleanup.use(await startDaemon({ ...testServices().services, image }))
  const held = cleanup.move()
  onTestFinished(() => held.disposeAsync())
  return { daemon, foreign, path: daemon.path }
}

it('passes bytes that nobody here understands, there and back', async () => {
  const seen: Buffer[] = []
  const { path } = await start({
    unary: {
      [list]: (call, callback) => {
        seen.push(call.request)
        ok(call, callback)
      },
    },
  })
  const { messages, status } = await callIn('unary', path, list, request)
  expect(status).toMatchObject({ code: grpc.status.OK })
  expect(seen).toEqual([request])
  expect(messages).toEqual([unknown('back')])
})

it('passes what comes beside the messages, but for what belongs to one hop', async () => {
  const seen: grpc.Metadata[] = []
  const [headers, trailers] = [new grpc.Metadata(), new grpc.Metadata()]
  headers.set('x-header', 'early')
  trailers.set('x-trailer', 'late')
  trailers.set('x-trailer-bin', Buffer.from([0, 255]))
  const { path } = await start({
    unary: {
      [list]: (call, callback) => {
        seen.push(call.metadata)
        call.sendMetadata(headers)
        callback(null, unknown('back'), trailers)
      },
    },
    stream: {
      [streamed]: (call) => {
        call.sendMetadata(headers)
        call.write(unknown('back'))
        call.end(trailers)
      },
    },
  })
  const metadata = new grpc.Metadata()
  metadata.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
  metadata.set('tracestate', 'a=1,b=2')
  metadata.set('baggage', 'user=%C3%BC')
  metadata.add('x-many', 'one')
  metadata.set('x-bytes-bin', Buffer.from([1, 2, 254]))
  for (const kind of ['unary', 'stream'] as const) {
    const answer = await callIn(kind, path, kind === 'unary' ? list : streamed, request, { metadata })
    expect(answer.status).toMatchObject({ code: grpc.status.OK })
    expect(answer.headers?.getMap()).toMatchObject({ 'x-header': 'early' })
    expect(answer.status.metadata.getMap()).toMatchObject({ 'x-trailer': 'late', 'x-trailer-bin': Buffer.from([0, 255]) })
  }
  const { 'user-agent': agent, ...rest } = seen[0]?.getMap() ?? {}
  expect(rest).toEqual(metadata.getMap())
  expect(agent).toMatch(/^grpc-node-js/)
})

it('passes the status whole: code, words, details and trailers', async () => {
  const details = '100 % of “layers” \n are gone: %41'
  const metadata = new grpc.Metadata()
  metadata.set('grpc-status-details-bin', Buffer.from([8, 5, 18, 0, 255]))
  metadata.set('x-why', 'because')
  const failing = { code: grpc.status.NOT_FOUND, details, metadata }
  const { path, daemon } = await start({
    unary: { [pull]: (_call, callback) => callback(failing) },
    stream: {
      [streamed]: (call) => {
        call.write(unknown('first'))
        call.emit('error', failing)
      },
    },
  })
  for (const kind of ['unary', 'stream'] as const) {
    const { status, messages } = await callIn(kind, path, kind === 'unary' ? pull : streamed, request)
    expect(status).toMatchObject({ code: grpc.status.NOT_FOUND, details })
    expect(status.metadata.get('grpc-status-details-bin')).toEqual([Buffer.from([8, 5, 18, 0, 255])])
    expect(status.metadata.get('x-why')).toEqual(['because'])
    expect(messages).toEqual(kind === 'unary' ? [] : [unknown('first')])
  }
  expect(daemon.records.map(({ code }) => code)).toEqual(['NOT_FOUND', 'NOT_FOUND'])
})

it('passes the deadline, and ends with it', async () => {
  const seen: (Date | number)[] = []
  const { path } = await start({ unary: { [pull]: (call) => void seen.push(call.getDeadline()) } })
  const deadline = new Date(Date.now() + 400)
  const { status } = await callIn('unary', path, pull, request, { deadline })
  expect(status.code).toBe(grpc.status.DEADLINE_EXCEEDED)
  expect(Math.abs(Number(seen[0]) - deadline.getTime())).toBeLessThan(100)
})

it('passes it on that the caller left', async () => {
  const calls: (Parameters<Unary>[0] | Parameters<Stream>[0])[] = []
  const arrived = vi.fn()
  const hold = (call: (typeof calls)[number]): void => {
    calls.push(call)
    arrived()
  }
  const { path } = await start({ unary: { [pull]: hold }, stream: { [streamed]: hold } })
  for (const kind of ['unary', 'stream'] as const) {
    const leaving = new AbortController()
    const answer = callIn(kind, path, kind === 'unary' ? pull : streamed, request, { signal: leaving.signal })
    await vi.waitFor(() => expect(calls).toHaveLength(kind === 'unary' ? 1 : 2), 20_000)
    const call = calls.at(-1)
    leaving.abort()
    if (call !== undefined && !call.cancelled) await once(call, 'cancelled')
    expect((await answer).status.code).toBe(grpc.status.CANCELLED)
  }
})

it('streams message by message, all in order', async () => {
  const messages = Array.from({ length: 500 }, (_, i) => unknown(`message ${i}`))
  const { path } = await start({
    stream: {
      [streamed]: (call) => {
        for (const message of messages) call.write(message)
        call.end()
      },
    },
  })
  const answer = await callIn('stream', path, streamed, request)
  expect(answer.messages).toEqual(messages)
  expect(answer.status.code).toBe(grpc.status.OK)
})

it('passes large messages, and says so of those beyond 16 MiB', async () => {
  const sized = (call: Parameters<Unary>[0]): Buffer => Buffer.alloc(call.request.readUInt32BE(0), 7)
  const { path } = await start({ unary: { [list]: (call, callback) => callback(null, sized(call)) } })
  const ask = (answer: number, asked = 4) => {
    const bytes = Buffer.alloc(asked)
    bytes.writeUInt32BE(answer)
    return callIn('unary', path, list, bytes)
  }
  const { messages } = await ask(15 * 2 ** 20, 10 * 2 ** 20)
  expect(messages[0]?.equals(Buffer.alloc(15 * 2 ** 20, 7))).toBe(true)
  expect((await ask(17 * 2 ** 20)).status.code).toBe(grpc.status.RESOURCE_EXHAUSTED)
})

it('answers for one that is down in half of the time the caller has, with its socket and what to do', async () => {
  const { path, foreign, daemon } = await start({ unary: { [list]: ok } })
  expect((await callIn('unary', path, list, request)).status.code).toBe(grpc.status.OK)
  foreign.crash()
  for (const [kind, method] of [
    ['unary', list],
    ['stream', streamed],
  ] as const) {
    const start = performance.now()
    const { status } = await callIn(kind, path, method, request, { deadline: new Date(Date.now() + 1_000) })
    expect(performance.now() - start).toBeLessThan(900)
    expect(status).toMatchObject({ code: grpc.status.UNAVAILABLE, details: expect.stringContaining(foreign.path) })
    expect(status.details).toMatch(/^containerd does not answer on .* \(no such socket\); see that it runs .*runtime\.endpoint$/)
  }
  // Nor does the end of the daemon wait for it.
  const waiting = callIn('unary', path, list, request)
  await vi.waitFor(async () =>
    expect(await daemon.client.runtime.version({}, { signal: AbortSignal.timeout(5_000) })).toBeDefined(),
  )
  const closing = performance.now()
  await daemon.server.close(4_000)
  expect(performance.now() - closing).toBeLessThan(1_000)
  expect((await waiting).status.code).toBe(grpc.status.UNAVAILABLE)
})

it('waits for one that is being restarted', async () => {
  const { path, foreign } = await start({ unary: { [pull]: ok } })
  await callIn('unary', path, pull, request)
  foreign.crash()
  const answer = callIn('unary', path, pull, request)
  await callIn('unary', path, list, request, { deadline: new Date(Date.now() + 200) })
  await foreign.restart({ unary: { [pull]: ok } })
  expect((await answer).messages).toEqual([unknown('back')])
})

it('repeats a call that only looks where the other side went away under it, and no other', async () => {
  const arrived = { [list]: Promise.withResolvers<void>(), [pull]: Promise.withResolvers<void>() }
  const hang =
    (method: string): Unary =>
    () =>
      arrived[method]?.resolve()
  const { path, foreign } = await start({ unary: { [list]: hang(list), [pull]: hang(pull) } })
  const answers = [list, pull].map((method) => callIn('unary', path, method, request))
  await Promise.all(Object.values(arrived).map(({ promise }) => promise))
  foreign.crash()
  await foreign.restart({ unary: { [list]: ok, [pull]: ok } })
  const [listed, pulled] = await Promise.all(answers)
  expect(listed?.messages).toEqual([unknown('back')])
  expect(pulled?.status).toMatchObject({
    code: grpc.status.UNAVAILABLE,
    details: expect.stringContaining('went away during the call'),
  })
})

it('repeats no stream that has begun', async () => {
  const { path, foreign } = await start({ stream: { [streamed]: (call) => void call.write(unknown('first')) } })
  const begun = Promise.withResolvers<void>()
  const answer = callIn('stream', path, streamed, request, { onMessage: () => begun.resolve() })
  await begun.promise
  foreign.crash()
  await foreign.restart({ stream: { [streamed]: (call) => void call.write(unknown('again')) } })
  expect(await answer).toMatchObject({ messages: [unknown('first')], status: { code: grpc.status.UNAVAILABLE } })
})
