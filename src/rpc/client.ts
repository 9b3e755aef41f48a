/**
 * The client of a daemon's socket. It loads gRPC, so import it when there is a daemon to call:
 *
 *     const { connect } = await import('../rpc/client.ts')
 *     using daemon = await connect(socket, { signal })
 *     for await (const event of daemon.windlass.pull({ reference }, { signal })) …
 */
import { once } from 'node:events'
import { resolve } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { fail } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'
import { serviceDefinitions } from './proto.ts'
import type { CallOptions, ImageCalls, RuntimeCalls, WindlassCalls } from './services.ts'
import { checkSocketPath, probe } from './socket.ts'
import { kindTrailer, nameOf, RpcError } from './status.ts'

/** Disposing it cancels its calls and closes it. */
export interface Connection extends Disposable {
  readonly image: ImageCalls
  readonly runtime: RuntimeCalls
  readonly windlass: WindlassCalls
}

/** What a server may send us in one message: the limit kubelet and crictl have. */
const receiveLimit = 16 * 1024 * 1024

/**
 * Connects to whoever listens on this socket: our own daemon, or the `runtime` of that name. Throws no-daemon or runtime-down where nobody
 * does, socket-denied, invalid-argument for a path no socket can have.
 */
export async function connect(
  socketPath: string,
  { runtime, ...options }: Abortable & { readonly runtime?: string },
): Promise<Connection> {
  const path = resolve(socketPath)
  checkSocketPath(path)
  const answer = await probe(path, options)
  if (answer.kind !== 'alive') {
    const { kind, reason } = answer
    if (runtime !== undefined) fail({ kind: 'runtime-down', runtime, socket: path, reason })
    fail(kind === 'denied' ? { kind: 'socket-denied', socket: path } : { kind: 'no-daemon', socket: path, reason })
  }

  const client = clientOf(path)
  const definitions = serviceDefinitions()
  const closing = new AbortController()
  return {
    image: calls<ImageCalls>(client, definitions.image, closing.signal),
    runtime: calls<RuntimeCalls>(client, definitions.runtime, closing.signal),
    windlass: calls<WindlassCalls>(client, definitions.windlass, closing.signal),
    [Symbol.dispose]: () => {
      closing.abort()
      client.close()
    },
  }
}

/** A client of whoever listens on the socket at `path`. */
export const clientOf = (path: string, options: grpc.ChannelOptions = {}): grpc.Client =>
  new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure(), {
    // The default authority of a unix target holds slashes, which HTTP/2 servers refuse.
    'grpc.default_authority': 'localhost',
    'grpc.max_receive_message_length': receiveLimit,
    // A pull is never repeated behind the caller's back.
    'grpc.enable_retries': 0,
    ...options,
  })

/** For a client that outlives its server's restarts: gRPC's own backoff grows to two minutes. */
export const RECONNECT = { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1_000 }

export const isReady = (client: grpc.Client): boolean =>
  client.getChannel().getConnectivityState(false) === grpc.connectivityState.READY

/** False where nobody took the connection in time, or `signal` aborted. */
export async function waitForReady(client: grpc.Client, ms: number, { signal }: Abortable): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  client.waitForReady(new Date(Date.now() + ms), (error) => resolve(error === undefined))
  const leave = (): void => resolve(false)
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

type Method = grpc.MethodDefinition<unknown, unknown>

/** The methods of a service as calls. `closing` ends those under way. */
export function calls<C>(client: grpc.Client, definition: grpc.ServiceDefinition, closing: AbortSignal): C {
  const entries = Object.entries<Method>(definition).map(([name, method]) => [
    name.charAt(0).toLowerCase() + name.slice(1),
    (request: unknown, { signal, ...rest }: CallOptions) => {
      const options = { ...rest, signal: AbortSignal.any([signal, closing]) }
      if (method.requestStream) return bothWays(client, method, requestsIn(request), options)
      return method.responseStream ? stream(client, method, request, options) : unary(client, method, request, options)
    },
  ])
  // The one place where loaded definitions meet the generated types; both come from proto/ with the same conversions.
  return Object.fromEntries(entries) as C
}

export function metadataOf({ metadata = {} }: CallOptions): grpc.Metadata {
  const sent = new grpc.Metadata()
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value)
  return sent
}

function unary(client: grpc.Client, method: Method, request: unknown, options: CallOptions): Promise<unknown> {
  const { signal, deadline } = options
  if (signal.aborted) return Promise.reject(cancelled(signal.reason))
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadataOf(options),
      deadline === undefined ? {} : { deadline },
      (error, response) => {
        signal.removeEventListener('abort', cancel)
        if (error === null) resolve(response)
        else reject(rpcError(error))
      },
    )
    const cancel = () => call.cancel()
    signal.addEventListener('abort', cancel, { once: true })
  })
}

async function* stream(
  client: grpc.Client,
  method: Method,
  request: unknown,
  options: CallOptions,
): AsyncGenerator<unknown, void, undefined> {
  const { signal, deadline } = options
  if (signal.aborted) throw cancelled(signal.reason)
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    metadataOf(options),
    deadline === undefined ? {} : { deadline },
  )
  const cancel = () => call.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    for await (const message of call) yield message
  } catch (error) {
    throw rpcError(error)
  } finally {
    signal.removeEventListener('abort', cancel)
    // Tells the daemon when the reader left before the end; after the end it does nothing.
    call.cancel()
  }
}

/** The generated types hold callers to it. */
function requestsIn(given: unknown): AsyncIterable<unknown> {
  if (typeof given === 'object' && given !== null && Symbol.asyncIterator in given) return given as AsyncIterable<unknown>
  throw new TypeError('a stream of requests is given as an async iterable')
}

/** Sends what `requests` gives, no faster than it is read; when that fails the call is cancelled, and its error is the one told. */
async function* bothWays(
  client: grpc.Client,
  method: Method,
  requests: AsyncIterable<unknown>,
  options: CallOptions,
): AsyncGenerator<unknown, void, undefined> {
  const { signal } = options
  if (signal.aborted) throw cancelled(signal.reason)
  const call = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    metadataOf(options),
    options.deadline === undefined ? {} : { deadline: options.deadline },
  )
  const cancel = () => call.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  const sending = { error: undefined as unknown }
  const left = new AbortController()
  const send = async (): Promise<void> => {
    for await (const request of requests) {
      if (left.signal.aborted) return
      if (!call.write(request)) await once(call, 'drain', { signal: left.signal })
    }
    call.end()
  }
  send().catch((error: unknown) => {
    if (left.signal.aborted) return
    sending.error = error
    call.cancel()
  })
  try {
    for await (const message of call) yield message
  } catch (error) {
    throw sending.error ?? rpcError(error)
  } finally {
    left.abort()
    signal.removeEventListener('abort', cancel)
    call.cancel()
  }
}

export const cancelled = (reason: unknown): RpcError => new RpcError('CANCELLED', 'cancelled by the caller', 'cancelled', reason)

export const isServiceError = (error: unknown): error is grpc.ServiceError =>
  error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error && 'metadata' in error

/** What gRPC reports as our own error; anything else is passed on as it is. */
export function rpcError(error: unknown): unknown {
  if (!isServiceError(error)) return error
  const kind = error.metadata.get(kindTrailer)[0]
  return new RpcError(nameOf(error.code), error.details, typeof kind === 'string' ? kind : undefined, error)
}
