/** Somebody else's daemon, which answers in bytes: what stands behind an upstream. And a client that sees all there is of an answer. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import * as grpc from '@grpc/grpc-js'

export type Unary = grpc.handleUnaryCall<Buffer, Buffer>
export type Stream = grpc.handleServerStreamingCall<Buffer, Buffer>
/** By path. */
export type Methods = { readonly unary?: Readonly<Record<string, Unary>>; readonly stream?: Readonly<Record<string, Stream>> }

export interface Foreign extends AsyncDisposable {
  readonly path: string
  /** Its connections end without a word, as those of a process that is killed, and its socket is gone. */
  crash(): void
  /** Listens again, answering as told now. */
  restart(methods: Methods): Promise<void>
}

const asIs = (bytes: Buffer): Buffer => bytes

export async function startForeign(path: string, methods: Methods): Promise<Foreign> {
  const open = new Set<Socket>()
  const listen = async ({ unary = {}, stream = {} }: Methods): Promise<Server> => {
    const rpc = new grpc.Server({ 'grpc.max_receive_message_length': 32 * 2 ** 20 })
    for (const [name, handler] of Object.entries(unary)) rpc.register(name, handler, asIs, asIs, 'unary')
    for (const [name, handler] of Object.entries(stream)) rpc.register(name, handler, asIs, asIs, 'serverStream')
    const injector = rpc.createConnectionInjector(grpc.ServerCredentials.createInsecure())
    const listener = createServer((socket) => {
      open.add(socket)
      socket.once('close', () => open.delete(socket))
      socket.on('error', () => socket.destroy())
      injector.injectConnection(socket)
    })
    await once(listener.listen(path), 'listening')
    return listener
  }
  let listener = await listen(methods)
  const crash = (): void => {
    listener.close()
    for (const socket of open) socket.destroy()
  }
  return {
    path,
    crash,
    restart: async (now) => {
      listener = await listen(now)
    },
    [Symbol.asyncDispose]: async () => crash(),
  }
}

export type Answer = {
  readonly messages: Buffer[]
  readonly headers: grpc.Metadata | undefined
  readonly status: grpc.StatusObject
}
export type CallSaying = {
  readonly metadata?: grpc.Metadata
  readonly deadline?: Date
  readonly signal?: AbortSignal
  readonly onMessage?: (message: Buffer) => void
}

/** Makes a call in bytes; resolves to everything that came back, whatever the status. */
export function callIn(
  kind: 'unary' | 'stream',
  path: string,
  method: string,
  request: Buffer,
  { metadata = new grpc.Metadata(), deadline, signal, onMessage }: CallSaying = {},
): Promise<Answer> {
  const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure(), {
    'grpc.default_authority': 'localhost',
    'grpc.max_receive_message_length': 32 * 2 ** 20,
  })
  const options = deadline === undefined ? {} : { deadline }
  const messages: Buffer[] = []
  let headers: grpc.Metadata | undefined
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const take = (message: Buffer | undefined): void => {
    if (message === undefined) return
    messages.push(message)
    onMessage?.(message)
  }
  const call =
    kind === 'unary'
      ? client.makeUnaryRequest<Buffer, Buffer>(method, asIs, asIs, request, metadata, options, (_error, message) =>
          take(message),
        )
      : client.makeServerStreamRequest<Buffer, Buffer>(method, asIs, asIs, request, metadata, options).on('data', take)
  call.on('error', () => {})
  call.once('metadata', (came: grpc.Metadata) => {
    headers = came
  })
  let status: grpc.StatusObject | undefined
  const done = (): void => {
    if (status !== undefined) resolve({ messages, headers, status })
    client.close()
  }
  call.once('status', (came: grpc.StatusObject) => {
    status = came
    // A stream's last messages may still be on their way to us.
    if (kind === 'unary' || came.code !== grpc.status.OK) setImmediate(done)
  })
  call.once('end', () => setImmediate(done))
  signal?.addEventListener('abort', () => call.cancel(), { once: true })
  return promise
}
