/** Serves our services on a unix socket, and stops in bounded time. */
import { createServer, type Socket } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { asWindlassError, WindlassError } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'
import type { Inherited } from './activation.ts'
import { type Adapter, adapt, type CallRecord } from './adapter.ts'
import { rememberingImages } from './image-list.ts'
import { serviceDefinitions } from './proto.ts'
import type { ImageHandlers, RawService, RuntimeHandlers, Service, WindlassHandlers } from './services.ts'
import { listenOn, listenUnix } from './socket.ts'

export type { CallRecord } from './adapter.ts'

export type Services = {
  readonly image: Service<ImageHandlers> | RawService<ImageHandlers>
  readonly runtime: Service<RuntimeHandlers> | RawService<RuntimeHandlers>
  readonly windlass: Service<WindlassHandlers>
}

export type ServeOptions = Abortable & {
  readonly path: string
  /** As chmod takes it: 0o660. */
  readonly mode: number
  /** A socket that listens already, in place of the path; it is somebody else's and stays. */
  readonly inherited?: Inherited
  /** Called once for every call that has ended; must not throw. */
  readonly onCall: (record: CallRecord) => void
  /** Called for what goes wrong outside any call: a connection that could not be accepted. Must not throw. */
  readonly onError: (error: WindlassError) => void
}

export interface RunningServer {
  readonly path: string
  /**
   * Takes no more calls, aborts those under way with `cancelled: shutdown`, and waits for their answers, `graceMs` at most; then cuts
   * what is left. A socket of our own is gone afterwards. Calling it again waits for the same end.
   */
  close(graceMs: number): Promise<void>
}

/** What a caller may send us in one message, and the calls one connection may have open at once. */
const receiveLimit = 16 * 1024 * 1024
const callsPerConnection = 1_000
/** Kubelet holds one connection, each command one; beyond this somebody leaks them. */
const maxConnections = 4_096

/** Listens on `path` and answers. `signal` aborts only the start. Throws as `listenUnix`. */
export async function serve(
  services: Services,
  { mode, inherited, onCall, onError, signal, ...named }: ServeOptions,
): Promise<RunningServer> {
  const rpc = new grpc.Server({
    'grpc.max_receive_message_length': receiveLimit,
    'grpc.max_concurrent_streams': callsPerConnection,
    'grpc.enable_channelz': 0,
  })
  const shutdown = new AbortController()
  const adapter: Adapter = { shutdown: shutdown.signal, onCall }
  const definitions = serviceDefinitions()
  rpc.addService(...adapt(rememberingImages(definitions.image), services.image, adapter))
  rpc.addService(...adapt(definitions.runtime, services.runtime, adapter))
  rpc.addService(...adapt(definitions.windlass, services.windlass, adapter))

  // Our own listener in front of gRPC's: bound in one step under our umask, and with a limit on connections.
  const injector = rpc.createConnectionInjector(grpc.ServerCredentials.createInsecure())
  const sockets = new Set<Socket>()
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // HTTP/2 reports what a peer does wrong by session; a reset before there is one ends here.
    socket.on('error', () => socket.destroy())
    injector.injectConnection(socket)
  })
  listener.maxConnections = maxConnections
  const path = inherited?.path ?? named.path
  if (inherited === undefined) await listenUnix(listener, path, mode, { signal })
  else await listenOn(listener, inherited)
  // No file descriptor left, say. The daemon goes on; unheard, the event would end the process.
  listener.on('error', (error) => onError(asWindlassError(error)))

  const stop = async (graceMs: number): Promise<void> => {
    const closed = Promise.withResolvers<void>()
    // Calls back once the last connection is gone, so once every call has been answered: gRPC's own shutdown does not wait for that
    // where connections are injected.
    listener.close(() => closed.resolve())
    rpc.tryShutdown(() => {})
    shutdown.abort(new WindlassError({ kind: 'cancelled', reason: 'shutdown' }))
    const cut = setTimeout(() => {
      for (const socket of sockets) socket.destroy()
    }, graceMs)
    await closed.promise
    clearTimeout(cut)
  }
  let stopping: Promise<void> | undefined
  return {
    path,
    close: (graceMs) => {
      stopping ??= stop(graceMs)
      return stopping
    },
  }
}
