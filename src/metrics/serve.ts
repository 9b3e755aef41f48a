/** Metrics in Prometheus' text form, and the probes, over HTTP. Loads prom-client: only imported where an address is configured. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Gauge, Registry } from 'prom-client'
import { type Looks, type Patience, patience, showWhatIsLookedAt } from './looked-at.ts'
import type { Metrics } from './metrics.ts'
import { measureProcess } from './process.ts'
import { countWhatIsTold } from './told.ts'

export type ServedMetrics = Metrics &
  AsyncDisposable & {
    /** The port it listens on. */
    readonly port: number
  }

export type MetricsOptions = Looks & {
  readonly host: string
  readonly port: number
  readonly version: string
  /** Why calls to the daemon's socket would fail, whatever they ask; undefined where they would not. */
  readonly whyNotReady: (options: Patience) => Promise<string | undefined>
  /** Called for a connection that could not be accepted; must not throw. */
  readonly onError: (error: Error) => void
}

/** A scrape is one small GET; whoever sends more is not Prometheus. */
const LIMITS = { maxHeaderSize: 8_192, requestTimeout: 10_000, headersTimeout: 5_000, connectionsCheckingInterval: 5_000 }
/** Beyond them the oldest goes: an answer takes milliseconds, so that is one who asks nothing, and must not keep kubelet's probe out. */
const MAX_CONNECTIONS = 64
const SILENCE_MS = 10_000

/** Listens. Rejects with the system's error where it cannot: the port is taken, say. */
export async function serveMetrics(options: MetricsOptions): Promise<ServedMetrics> {
  const { host, port, version, whyNotReady, onError } = options
  const registry = new Registry()
  new Gauge({
    name: 'windlass_build_info',
    help: 'The version of the daemon, and of its Node.',
    labelNames: ['version', 'node_version'],
    registers: [registry],
  }).set({ version, node_version: process.version }, 1)
  const told = countWhatIsTold(registry)
  showWhatIsLookedAt(registry, options)
  const sayReady = async (say: (status: number, text: string) => void): Promise<void> => {
    const why = await whyNotReady(patience())
    return why === undefined ? say(200, 'ok\n') : say(503, `not ready: ${why}\n`)
  }
  await using open = new AsyncDisposableStack()
  open.use(measureProcess(registry))
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const say = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type, connection: 'close' }).end(request.method === 'HEAD' ? undefined : text)
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return say(405, 'GET or HEAD\n')
    switch (request.url?.split('?', 1)[0]) {
      case '/metrics':
        return say(200, await registry.metrics(), registry.contentType)
      case '/livez':
      case '/healthz':
        return say(200, 'ok\n')
      case '/readyz':
        return await sayReady(say)
      default:
        return say(404, 'here are /metrics, /livez, /readyz and /healthz\n')
    }
  }
  const server = createServer(LIMITS, (request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    const [oldest] = connections
    if (connections.size > MAX_CONNECTIONS) oldest?.destroy()
  })
  server.setTimeout(SILENCE_MS)
  server.listen({ host, port })
  await once(server, 'listening')
  // No descriptor left, say. Unheard, the event would end the daemon.
  server.on('error', onError)
  open.defer(async () => {
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  })
  const address = server.address()
  const kept = open.move()
  return {
    ...told,
    port: typeof address === 'object' && address !== null ? address.port : port,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}
