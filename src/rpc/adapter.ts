/**
 * Between gRPC's callbacks and our handlers. A handler is a promise, or an iterable that is read no faster than the client reads; its
 * signal aborts when the client leaves, when its deadline passes and when the daemon stops, and the reason says which.
 */
import { type EventEmitter, once } from 'node:events'
import { performance } from 'node:perf_hooks'
import * as grpc from '@grpc/grpc-js'
import { asWindlassError, type Failure, failureOf, WindlassError } from '../failure/failure.ts'
import type { RawContext, RawService, Service } from './services.ts'
import { ForeignStatus, kindTrailer, type RpcStatus, type StatusName, type StatusOf } from './status.ts'

/** A call that has ended, for the log and the metrics. `error` holds what was thrown, with its causes. */
export type CallRecord = {
  /** `/package.Service/Method`. */
  readonly method: string
  readonly type: 'unary' | 'server_stream' | 'bidi_stream'
  readonly code: StatusName
  readonly ms: number
  readonly error?: unknown
}

export type Adapter = {
  /** Aborts when the daemon stops. */
  readonly shutdown: AbortSignal
  readonly onCall: (record: CallRecord) => void
}

/** setTimeout's longest wait; a deadline further away than 24 days is none. */
const longestTimer = 2 ** 31 - 1
/** Milliseconds by which the two ends of a call may disagree about when its deadline is. */
const clockSlack = 50
/** HTTP/2 clients bound the size of the trailers they take. */
const longestMessage = 4_096

type Unary = (request: unknown, call: RawContext) => Promise<unknown>
/** The request, or an iterable of them. */
type Streaming = (request: unknown, call: RawContext) => AsyncIterable<unknown>

/** A service with its handlers, in the form gRPC takes. */
export type Adapted = readonly [grpc.ServiceDefinition, grpc.UntypedServiceImplementation]

/** Handlers of messages or of bytes, as gRPC takes them. */
export function adapt<H extends object>(
  definition: grpc.ServiceDefinition,
  service: Service<H> | RawService<H>,
  adapter: Adapter,
): Adapted {
  return 'raw' in service
    ? [unparsed(definition), implement(definition, service.raw, service.statusOf, adapter)]
    : [definition, implement(definition, service.handlers, service.statusOf, adapter)]
}

/** The same methods, their messages left as they are. */
function unparsed(definition: grpc.ServiceDefinition): grpc.ServiceDefinition {
  const asIs = (bytes: Buffer): Buffer => bytes
  const codec = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs }
  return Object.fromEntries(Object.entries(definition).map(([name, method]) => [name, { ...method, ...codec }]))
}

function implement(
  definition: grpc.ServiceDefinition,
  methods: object,
  statusOf: StatusOf,
  adapter: Adapter,
): grpc.UntypedServiceImplementation {
  const handlers = new Map(Object.entries(methods))
  const entries = Object.entries<grpc.MethodDefinition<unknown, unknown>>(definition).map(([name, method]) => {
    const handler: unknown = handlers.get(name.charAt(0).toLowerCase() + name.slice(1))
    if (typeof handler !== 'function') throw new Error(`no handler for ${method.path}`)
    // `Service<H>` and `RawService<H>` hold the handlers to the generated types; gRPC gives them what those types say.
    const run = method.responseStream
      ? method.requestStream
        ? streaming(method.path, 'bidi_stream', (call: BothWays) => call, handler as Streaming, statusOf, adapter)
        : streaming(method.path, 'server_stream', (call: OneWay) => call.request, handler as Streaming, statusOf, adapter)
      : unary(method.path, handler as Unary, statusOf, adapter)
    return [name, run]
  })
  return Object.fromEntries(entries)
}

function unary(method: string, handler: Unary, statusOf: StatusOf, adapter: Adapter): grpc.handleUnaryCall<unknown, unknown> {
  return async (call, callback) => {
    const start = performance.now()
    using context = openContext(call, adapter.shutdown)
    try {
      const response = await handler(call.request, context)
      callback(null, response, context.trailers())
      adapter.onCall({ method, type: 'unary', code: 'OK', ms: performance.now() - start })
    } catch (error) {
      const { status, record } = ending(error, context.signal, statusOf)
      callback(status)
      adapter.onCall({ method, type: 'unary', ms: performance.now() - start, ...record })
    }
  }
}

type OneWay = grpc.ServerWritableStream<unknown, unknown>
type BothWays = grpc.ServerDuplexStream<unknown, unknown>

/** `requestOf` gives what the handler is called with: one request, or those that come as they are read. */
function streaming<C extends OneWay | BothWays>(
  method: string,
  type: CallRecord['type'],
  requestOf: (call: C) => unknown,
  handler: Streaming,
  statusOf: StatusOf,
  adapter: Adapter,
): (call: C) => Promise<void> {
  return async (call) => {
    const start = performance.now()
    using context = openContext(call, adapter.shutdown)
    try {
      for await (const message of handler(requestOf(call), context)) {
        context.signal.throwIfAborted()
        if (!call.write(message)) await once(call, 'drain', { signal: context.signal })
      }
      call.end(context.trailers())
      adapter.onCall({ method, type, code: 'OK', ms: performance.now() - start })
    } catch (error) {
      const { status, record } = ending(error, context.signal, statusOf)
      // gRPC takes an error event for the call's status.
      if (!call.destroyed) call.emit('error', status)
      adapter.onCall({ method, type, ms: performance.now() - start, ...record })
    }
  }
}

type AnyCall = Pick<OneWay, 'metadata' | 'cancelled' | 'getDeadline' | 'sendMetadata'> & Pick<EventEmitter, 'on' | 'off'>

type OpenContext = RawContext & Disposable & { trailers(): grpc.Metadata | undefined }

/**
 * The context of one call. The deadline has a timer of its own here: gRPC's ends the call towards the client, but tells us only once the
 * client has read what was sent before.
 */
function openContext(call: AnyCall, shutdown: AbortSignal): OpenContext {
  const controller = new AbortController()
  let trailers: grpc.Metadata | undefined
  const abort = (reason: 'cancelled' | 'deadline' | 'shutdown') =>
    controller.abort(new WindlassError({ kind: 'cancelled', reason }))
  const deadline = deadlineOf(call)
  // The client's timer started before ours: a call cut this short before its deadline was cut by it.
  const left = () => abort(deadline !== undefined && deadline.getTime() - Date.now() <= clockSlack ? 'deadline' : 'cancelled')
  const stop = () => abort('shutdown')
  const [traceparent] = call.metadata.get('traceparent')
  const timer =
    deadline === undefined ? undefined : setTimeout(() => abort('deadline'), Math.max(0, deadline.getTime() - Date.now()))

  call.on('cancelled', left)
  shutdown.addEventListener('abort', stop, { once: true })
  if (shutdown.aborted) stop()
  if (call.cancelled) left()
  return {
    signal: controller.signal,
    metadata: call.metadata,
    sendHeaders: (headers) => call.sendMetadata(headers),
    sendTrailers: (given) => {
      trailers = given
    },
    trailers: () => trailers,
    ...(deadline === undefined ? {} : { deadline }),
    ...(typeof traceparent === 'string' ? { traceparent } : {}),
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      call.off('cancelled', left)
      shutdown.removeEventListener('abort', stop)
    },
  }
}

function deadlineOf(call: AnyCall): Date | undefined {
  const deadline = call.getDeadline()
  const at = deadline instanceof Date ? deadline.getTime() : deadline
  return at - Date.now() > longestTimer ? undefined : new Date(at)
}

/** How a failed call ends: towards the client, and in the log. */
function ending(error: unknown, signal: AbortSignal, statusOf: StatusOf) {
  if (error instanceof ForeignStatus)
    return { status: Object.assign(new Error(error.message), error.status), record: { code: error.code, error } }
  const failure = causeOf(error, signal)
  const { code, message }: RpcStatus = statusOf(failure)
  const metadata = new grpc.Metadata()
  metadata.set(kindTrailer, failure.kind)
  const status = Object.assign(new Error(message), { code: grpc.status[code], details: oneLine(message), metadata })
  return { status, record: { code, error: asWindlassError(error) } }
}

/** A call that was aborted fails for the reason it was aborted, whatever form that took on its way up. */
function causeOf(error: unknown, signal: AbortSignal): Failure {
  const failure = failureOf(error)
  return signal.aborted && failure.kind === 'cancelled' ? failureOf(signal.reason) : failure
}

/** gRPC percent-encodes the message, which throws on half a surrogate pair; and logs expect a single line. */
function oneLine(message: string): string {
  const line = message.replaceAll(/\s*[\r\n]+\s*/g, ' ').toWellFormed()
  return line.length <= longestMessage ? line : `${line.slice(0, longestMessage)}…`.toWellFormed()
}
