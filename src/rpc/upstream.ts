/**
 * Another daemon behind a socket of its own, whose calls are handed on as they come: bytes, metadata, deadline and end, all unparsed. It
 * may be restarted at any time.
 */
import * as grpc from '@grpc/grpc-js'
import { asWindlassError, fail } from '../failure/failure.ts'
import { clientOf, isServiceError } from './client.ts'
import type { RawContext } from './services.ts'
import { ForeignStatus } from './status.ts'

export interface Upstream extends Disposable {
  readonly socket: string
  /** `path` is the method's, `/package.Service/Method`. Throws ForeignStatus for its answer, runtime where nobody gives one. */
  unary(path: string, request: Buffer, call: RawContext): Promise<Buffer>
  stream(path: string, request: Buffer, call: RawContext): AsyncIterable<Buffer>
}

/** As kubelet has it. */
const LARGEST_MESSAGE = 16 * 1024 * 1024
/**
 * How long a call waits for a daemon that does not listen: a restart takes a second or two, and kubelet would fail a pod for a call it
 * lost in between; a daemon that stays away must be reported soon.
 */
const PATIENCE_MS = 5_000
/** gRPC's own backoff grows to two minutes. */
const RECONNECT = { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1_000 }

/** What belongs to one hop alone (grpc/doc/PROTOCOL-HTTP2.md); the next one makes its own. */
const HOP = /^(?:user-agent|te|content-type|accept-encoding|host|:.*|grpc-(?!trace-bin|tags-bin|status-details-bin).*)$/

/** `name` is what to call it in failures. */
export function createUpstream(name: string, socket: string): Upstream {
  const client = clientOf(socket, { 'grpc.max_send_message_length': LARGEST_MESSAGE, ...RECONNECT })
  const asIs = (bytes: Buffer): Buffer => bytes

  const ready = async ({ signal, deadline }: RawContext): Promise<void> => {
    if (client.getChannel().getConnectivityState(false) === grpc.connectivityState.READY) return
    signal.throwIfAborted()
    const until = Math.min(Date.now() + PATIENCE_MS, deadline?.getTime() ?? Number.POSITIVE_INFINITY)
    const error = await new Promise<Error | undefined>((resolve) => client.waitForReady(new Date(until), resolve))
    signal.throwIfAborted()
    if (error === undefined) return
    const detail = `nobody answered within ${PATIENCE_MS / 1000} s`
    fail({ kind: 'runtime', runtime: name, socket, operation: 'take the call', code: 'UNAVAILABLE', detail }, error)
  }
  const optionsOf = ({ deadline }: RawContext): grpc.CallOptions => (deadline === undefined ? {} : { deadline })

  return {
    socket,
    unary: async (path, request, context) => {
      await ready(context)
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
      const call = client.makeUnaryRequest<Buffer, Buffer>(
        path,
        asIs,
        asIs,
        request,
        onward(context.metadata),
        optionsOf(context),
        (error, response) => {
          if (error === null) resolve(response ?? Buffer.alloc(0))
          else reject(ending(error, context.signal))
        },
      )
      using _cancel = onAbort(context.signal, () => call.cancel())
      return await promise
    },
    stream: async function* (path, request, context) {
      await ready(context)
      const call = client.makeServerStreamRequest<Buffer, Buffer>(
        path,
        asIs,
        asIs,
        request,
        onward(context.metadata),
        optionsOf(context),
      )
      using _cancel = onAbort(context.signal, () => call.cancel())
      try {
        for await (const message of call) yield message
      } catch (error) {
        throw ending(error, context.signal)
      } finally {
        call.cancel()
      }
    },
    [Symbol.dispose]: () => client.close(),
  }
}

function onward(metadata: grpc.Metadata): grpc.Metadata {
  const sent = metadata.clone()
  for (const key of Object.keys(metadata.getMap())) if (HOP.test(key)) sent.remove(key)
  return sent
}

/** What we cancelled ended for our reason; everything else is the other daemon's word. */
function ending(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return asWindlassError(signal.reason)
  return isServiceError(error) ? new ForeignStatus(error, error) : error
}

function onAbort(signal: AbortSignal, act: () => void): Disposable {
  signal.addEventListener('abort', act, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', act) }
}
