/** The daemon: a node's pull path behind a unix socket. */
import type { Config } from '../config/config.ts'
import { createControlService } from '../control/control-service.ts'
import { createImageService } from '../cri/image-service.ts'
import { createRuntimeService } from '../cri/runtime-service.ts'
import { WindlassError } from '../failure/failure.ts'
import { type CallRecord, serve } from '../rpc/server.ts'
import type { Abortable } from '../task/task.ts'
import { createLogger, type Logger } from './log.ts'
import { openNode } from './node.ts'

/** How long calls under way may take to end once the daemon is told to stop. */
const GRACE_MS = 5_000

/** Serves until `signal` aborts; resolves when everything is put away. */
export async function runDaemon(
  config: Config,
  version: string,
  { signal, onReady }: Abortable & { onReady?: () => void },
): Promise<void> {
  const log = createLogger(config.logging)
  const started = performance.now()
  for (const warning of config.warnings) log.warn({ file: config.file }, warning)
  const lost = new AbortController()
  await using node = await openNode(config, version, log, { signal, onLost: (error) => lost.abort(error) })
  // What a crash, or a removal cut short, left behind; nobody waits for it.
  node.collector.collect().catch((error: unknown) => log.error({ err: error }, 'the collection at the start failed'))
  const server = await serve(
    {
      image: createImageService({ ...node, log }),
      runtime: createRuntimeService(version),
      windlass: createControlService({ ...node, version, log }),
    },
    {
      path: config.socket.path,
      mode: config.socket.mode,
      onCall: (record) => logCall(log, record),
      onError: (error) => log.error({ err: error }, 'a connection could not be accepted'),
      signal,
    },
  )
  log.info({ socket: server.path, root: config.rootDir, pid: process.pid, ms: Math.round(performance.now() - started) }, 'ready')
  onReady?.()
  await aborted(AbortSignal.any([signal, lost.signal]))
  log.info({}, 'stopping')
  await Promise.all([server.close(GRACE_MS), node.puller.close()])
  // A daemon that can change nothing any more ends with a failure, so that its supervisor starts a new one.
  lost.signal.throwIfAborted()
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** A line for what failed by our own fault; pulls have lines of their own, and polls have none. */
function logCall(log: Logger, { method, code, ms, error }: CallRecord): void {
  const fields = { method, code, ms: Math.round(ms) }
  const isOurs = error !== undefined && !(error instanceof WindlassError && error.failure.kind !== 'internal')
  if (isOurs) log.error({ ...fields, err: error }, 'call failed')
  else log.debug(fields, 'call')
}
