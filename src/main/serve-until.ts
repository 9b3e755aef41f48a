/** The daemon answers, until it is told to stop. */
import { WindlassError } from '../failure/failure.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { type CallRecord, type Services, serve } from '../rpc/server.ts'
import { ForeignStatus } from '../rpc/status.ts'
import { shrink } from '../sys/footprint.ts'
import { status } from '../sys/notify.ts'
import type { Daemon } from './door.ts'
import type { Logger } from './log.ts'

/** How long calls under way may take to end once the daemon is told to stop. */
const GRACE_MS = 5_000

type Turns = {
  /** Once calls are answered, whatever is left of the start; what that took of memory is given back after it. Does not throw. */
  readonly tidy?: () => Promise<void>
  /** Once it is told to end. */
  readonly stop: () => Promise<void>
}

export async function serveUntil(
  end: AbortSignal,
  services: Services,
  { config, log, door, options }: Daemon,
  metrics: Metrics,
  { tidy, stop }: Turns,
): Promise<void> {
  const { socket, rootDir } = config
  const { manager, inherited } = door
  const { signal, onReady, broken } = options
  const server = await serve(services, {
    path: socket.path,
    mode: socket.mode,
    ...(inherited === undefined ? {} : { inherited }),
    onCall: (record) => {
      metrics.call(record)
      logCall(log, record)
    },
    onError: (error) => log.error({ err: error }, 'a connection could not be accepted'),
    signal,
  })
  log.info({ socket: server.path, root: rootDir, pid: process.pid, ms: Math.round(performance.now()) }, 'ready')
  door.isOpen = true
  manager.notify('READY=1', status(broken === undefined ? `answering on ${server.path}` : `passthrough: ${broken.message}`))
  onReady?.()
  void (tidy?.() ?? Promise.resolve()).finally(shrink)
  await aborted(end)
  log.info({}, 'stopping')
  door.isOpen = false
  manager.notify('STOPPING=1')
  await Promise.all([server.close(GRACE_MS), stop()])
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** A line for what failed by our own fault; pulls have lines of their own, and polls have none. */
function logCall(log: Logger, { method, code, ms, error }: CallRecord): void {
  const fields = { method, code, ms: Math.round(ms) }
  const isTold = error instanceof ForeignStatus || (error instanceof WindlassError && error.failure.kind !== 'internal')
  if (error === undefined || isTold) log.debug(fields, 'call')
  else log.error({ ...fields, err: error }, 'call failed')
}
