/**
 * Another daemon behind a socket of its own, whose calls are handed on as they come: bytes, metadata, deadline and end, all unparsed. It
 * may be restarted at any time.
 */
import * as grpc from '@grpc/grpc-js'
import { asWindlassError, WindlassError } from '../failure/failure.ts'
import { clientOf, isReady, isServiceError, RECONNECT, waitForReady } from './client.ts'
import type { RawContext } from './services.ts'
import { probe } from './socket.ts'
import { ForeignStatus } from './status.ts'

export interface Upstream extends Disposable {
  readonly socket: string
  /**
   * `path` is the method's, `/package.Service/Method`. Throws ForeignStatus for its answer, runtime-down where nobody gives one, cancelled.
   * A call that only looks is `repeatable`: made again where the daemon goes away before it has answered.
   */
  unary(path: string, request: Buffer, call: RawContext, options?: Repeatable): Promise<Buffer>
  /** The same; a stream is repeated before its first message only. */
  stream(path: string, request: Buffer, call: RawContext, options?: Repeatable): AsyncIterable<Buffer>
}

export type Repeatable = { readonly repeatable?: boolean }

/** As kubelet has it. */
const LARGEST_MESSAGE = 16 * 1024 * 1024
/**
 * How long a call waits for a daemon that does not listen: a restart takes a second or two, and kubelet would fail a pod for a call it
 * lost in between; a daemon that stays away must be reported soon. A caller in a hurry waits half of its time, so that it hears what is
 * wrong, and not only that it is late.
 */
const PATIENCE_MS = 5_000

/** What belongs to one hop alone (grpc/doc/PROTOCOL-HTTP2.md, RFC 9113 section 8.2.2); the next one makes its own. */
const HOP =
  /^(?:user-agent|te|content-type|content-length|accept-encoding|host|date|connection|keep-alive|proxy-connection|transfer-encoding|upgrade|:.*|grpc-(?!trace-bin|tags-bin|status-details-bin).*)$/

const asIs = (bytes: Buffer): Buffer => bytes

/** `name` is what to call it in failures. */
export function createUpstream(name: string, socket: string): Upstream {
  const client = clientOf(socket, { 'grpc.max_send_message_length': LARGEST_MESSAGE, ...RECONNECT })
  const down = (reason: string, cause?: unknown) =>
    new WindlassError({ kind: 'runtime-down', runtime: name, socket, reason }, cause)

  /** Returns once there is a connection. */
  async function reach({ signal, deadline }: RawContext): Promise<void> {
    signal.throwIfAborted()
    if (isReady(client) || (await waitForReady(client, patienceOf(deadline), { signal }))) return
    signal.throwIfAborted()
    const answer = await probe(socket, { signal })
    throw down(answer.kind === 'alive' ? 'it takes no connection' : answer.reason)
  }

  /** How a call ended that gRPC reports as failed: for our reason, lost on the way, or by the other daemon's word. */
  function ending(error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return asWindlassError(signal.reason)
    if (!isServiceError(error)) return error
    // Where the connection is gone as well, gRPC itself is who calls it unavailable.
    if (error.code === grpc.status.UNAVAILABLE && !isReady(client)) return down('it went away during the call', error)
    return new ForeignStatus({ code: error.code, details: error.details, metadata: onward(error.metadata) }, error)
  }

  function ask(path: string, request: Buffer, context: RawContext): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const call = client.makeUnaryRequest<Buffer, Buffer>(
      path,
      asIs,
      asIs,
      request,
      onward(context.metadata),
      optionsOf(context),
      (error, response) => {
        leaving[Symbol.dispose]()
        if (error === null) resolve(response ?? Buffer.alloc(0))
        else reject(ending(error, context.signal))
      },
    )
    const leaving = onAbort(context.signal, () => call.cancel())
    passBack(call, context)
    return promise
  }

  async function* listen(path: string, request: Buffer, context: RawContext): AsyncGenerator<Buffer, void, undefined> {
    const sent = onward(context.metadata)
    const call = client.makeServerStreamRequest<Buffer, Buffer>(path, asIs, asIs, request, sent, optionsOf(context))
    using _leaving = onAbort(context.signal, () => call.cancel())
    passBack(call, context)
    try {
      for await (const message of call) yield message
    } catch (error) {
      throw ending(error, context.signal)
    } finally {
      call.cancel()
    }
  }

  return {
    socket,
    async unary(path, request, context, { repeatable = false } = {}) {
      await reach(context)
      try {
        return await ask(path, request, context)
      } catch (error) {
        if (!repeatable || !isDown(error)) throw error
      }
      await reach(context)
      return await ask(path, request, context)
    },
    async *stream(path, request, context, { repeatable = false } = {}) {
      await reach(context)
      let begun = false
      try {
        for await (const message of listen(path, request, context)) {
          begun = true
          yield message
        }
        return
      } catch (error) {
        if (!repeatable || begun || !isDown(error)) throw error
      }
      await reach(context)
      yield* listen(path, request, context)
    },
    [Symbol.dispose]: () => client.close(),
  }
}

const isDown = (error: unknown): boolean => error instanceof WindlassError && error.failure.kind === 'runtime-down'

const optionsOf = ({ deadline }: RawContext): grpc.CallOptions => (deadline === undefined ? {} : { deadline })

function patienceOf(deadline: Date | undefined): number {
  return deadline === undefined ? PATIENCE_MS : Math.min(PATIENCE_MS, (deadline.getTime() - Date.now()) / 2)
}

/** Gives the caller what comes beside the messages, where it came at all. */
function passBack(call: grpc.ClientUnaryCall | grpc.ClientReadableStream<Buffer>, context: RawContext): void {
  call.once('metadata', (headers: grpc.Metadata) => context.sendHeaders(onward(headers)))
  call.once('status', ({ code, metadata }: grpc.StatusObject) => {
    if (code === grpc.status.OK) context.sendTrailers(onward(metadata))
  })
}

function onward(metadata: grpc.Metadata): grpc.Metadata {
  const sent = metadata.clone()
  for (const key of Object.keys(metadata.getMap())) if (HOP.test(key)) sent.remove(key)
  return sent
}

function onAbort(signal: AbortSignal, act: () => void): Disposable {
  signal.addEventListener('abort', act, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', act) }
}
