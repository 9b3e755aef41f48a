/** Metrics in Prometheus' text form, and the probes, over HTTP. Loads prom-client: only imported where an address is configured. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Counter, Gauge, Registry } from 'prom-client'
import { type Metrics, PASSTHROUGH_REASONS, PREPULL_STATES, type PrepullFigures } from './metrics.ts'
import { measureProcess } from './process.ts'

export type ServedMetrics = Metrics &
  AsyncDisposable & {
    /** The port it listens on. */
    readonly port: number
  }

/** For how long somebody may look. */
type Patience = { readonly signal: AbortSignal }

export type MetricsOptions = {
  readonly host: string
  readonly port: number
  readonly version: string
  /** What the gauge of pulls under way says. */
  readonly pullsInFlight: () => number
  /** Absent where there are no lists of images: then nothing is shown of them. */
  readonly prepull?: () => PrepullFigures
  /** Why calls to the daemon's socket would fail, whatever they ask; undefined where they would not. */
  readonly whyNotReady: (options: Patience) => Promise<string | undefined>
  /** Whether the container runtime listens; absent where there is none. */
  readonly isRuntimeUp?: (options: Patience) => Promise<boolean>
  /** Called for a connection that could not be accepted; must not throw. */
  readonly onError: (error: Error) => void
}

/** A scrape is one small GET; whoever sends more is not Prometheus. */
const LIMITS = { maxHeaderSize: 8_192, requestTimeout: 10_000, headersTimeout: 5_000, connectionsCheckingInterval: 5_000 }
const MAX_CONNECTIONS = 64
/** For looking at the runtime's socket. */
const PATIENCE_MS = 1_000
const patience = (): Patience => ({ signal: AbortSignal.timeout(PATIENCE_MS) })
const SILENCE_MS = 10_000
/** Pods name registries, and each name is a time series for ever: those beyond this many are counted together. */
const MAX_REGISTRIES = 50

/** Listens. Rejects with the system's error where it cannot: the port is taken, say. */
export async function serveMetrics({
  host,
  port,
  version,
  pullsInFlight,
  prepull,
  whyNotReady,
  isRuntimeUp,
  onError,
}: MetricsOptions): Promise<ServedMetrics> {
  const registry = new Registry()
  const registers = [registry]
  new Gauge({ name: 'windlass_build_info', help: 'The version of the daemon.', labelNames: ['version'], registers }).set(
    { version },
    1,
  )
  const passthrough = new Gauge({
    name: 'windlass_passthrough',
    help: '1 while pulls are handed to the container runtime as they come, by reason.',
    labelNames: ['reason'],
    registers,
  })
  // Series that are there from the start can be watched for a change.
  for (const reason of PASSTHROUGH_REASONS) passthrough.set({ reason }, 0)
  const forwarded = new Counter({
    name: 'windlass_image_pulls_forwarded_total',
    help: 'Pulls handed to the container runtime, by reason.',
    labelNames: ['reason'],
    registers,
  })
  const pulls = new Counter({
    name: 'windlass_image_pulls_total',
    help: 'Pulls done here, by registry and result: pulled, or the kind of failure. Callers who share a pull count once.',
    labelNames: ['registry', 'result'],
    registers,
  })
  const named = boundedNames(MAX_REGISTRIES)
  new Gauge({
    name: 'windlass_image_pulls_in_progress',
    help: 'Pulls under way.',
    registers,
    collect() {
      this.set(pullsInFlight())
    },
  })
  if (isRuntimeUp !== undefined)
    new Gauge({
      name: 'windlass_runtime_up',
      help: '1 while the container runtime listens on its socket: without it nothing is pulled and no call is answered.',
      registers,
      async collect() {
        this.set((await isRuntimeUp(patience())) ? 1 : 0)
      },
    })
  const sayReady = async (say: (status: number, text: string) => void): Promise<void> => {
    const why = await whyNotReady(patience())
    return why === undefined ? say(200, 'ok\n') : say(503, `not ready: ${why}\n`)
  }
  if (prepull !== undefined) showLists(registry, prepull)
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
  server.maxConnections = MAX_CONNECTIONS
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
    port: typeof address === 'object' && address !== null ? address.port : port,
    forwarded: (reason) => forwarded.inc({ reason }),
    pull: (registry, result) => pulls.inc({ registry: named(registry), result }),
    passthrough: (on, reason) => passthrough.set({ reason }, on ? 1 : 0),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

function showLists(registry: Registry, figures: () => PrepullFigures): void {
  const registers = [registry]
  new Gauge({
    name: 'windlass_prepull_images',
    help: 'Images that lists declare, by list and state.',
    labelNames: ['list', 'state'],
    registers,
    collect() {
      const { images } = figures()
      // A list that has gone is shown no more.
      this.reset()
      for (const list of new Set(images.map((image) => image.list)))
        for (const state of PREPULL_STATES)
          this.set({ list, state }, images.filter((image) => image.list === list && image.state === state).length)
    },
  })
  new Gauge({
    name: 'windlass_prepull_list_problems',
    help: 'Files of lists that are not in force as they stand; above 0 the log says which.',
    registers,
    collect() {
      this.set(figures().problems)
    },
  })
}

/** Names as they come, until there are `most` of them; then `other`. */
function boundedNames(most: number): (name: string) => string {
  const known = new Set<string>()
  return (name) => {
    if (known.size < most) known.add(name)
    return known.has(name) ? name : 'other'
  }
}
