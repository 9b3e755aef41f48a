/** The daemon: a node's pull path behind a unix socket. */
import type { Config } from '../config/config.ts'
import { inheritedSocket } from '../rpc/activation.ts'
import { findRuntime, type Wanted } from '../runtime/find.ts'
import { shareArena } from '../sys/footprint.ts'
import { openNotifier } from '../sys/notify.ts'
import type { Daemon, DaemonOptions, Door } from './door.ts'
import { lastRuntime } from './last-runtime.ts'
import { createLogger } from './log.ts'
import { openOwnStore } from './own-store.ts'

/** Serves until `signal` aborts; resolves when everything is put away. */
export async function runDaemon(config: Config, version: string, options: DaemonOptions): Promise<void> {
  shareArena()
  const log = createLogger(config.logging)
  for (const warning of config.warnings) log.warn({ file: config.file }, warning)
  using manager = openNotifier(process.env, (error) => log.warn({ err: error }, 'the service manager could not be told'))
  const socket = inheritedSocket(process.env)
  const door: Door = { manager, ...(socket === undefined ? {} : { inherited: socket }), isOpen: false }
  const own = socket?.path ?? config.socket.path
  const runtime = await findRuntime(wantedRuntime(config, options), { own, signal: options.signal })
  const daemon: Daemon = { config, version, log, door, options }
  if (runtime !== undefined) {
    const { serveBeside } = await import('./serve-beside.ts')
    return await serveBeside(runtime, daemon)
  }
  if (options.broken !== undefined) throw options.broken
  // Beside one it is said once pulls can land there.
  const why = config.runtime.kind === 'none' ? 'no runtime is wanted' : "no runtime's socket is there that a kubelet would use"
  log.info({ runtime: config.runtime.kind }, `${why}: images stay in ${config.rootDir}`)
  await openAndServe(daemon)
}

/** A file that does not say it any more meant the runtime it said before. */
function wantedRuntime({ runtime, rootDir }: Config, { broken }: DaemonOptions): Wanted {
  const isNamed = runtime.endpoint !== undefined || (runtime.kind !== 'auto' && runtime.isUnknown !== true)
  if (broken === undefined || isNamed) return runtime
  const last = lastRuntime(rootDir)
  return last === undefined ? runtime : { kind: last.kind, endpoint: last.socket }
}

/** With a store of its own. Its thread reads the records while what answers calls is loaded. */
async function openAndServe(daemon: Daemon): Promise<void> {
  const { config, log, options } = daemon
  const lost = new AbortController()
  const onLost = (error: Error): void => lost.abort(error)
  const opening = openOwnStore(config, log, { signal: options.signal, settlesLater: true, onLost })
  const [opened, loaded] = await Promise.allSettled([opening, loadServing()])
  if (opened.status === 'rejected') throw opened.reason
  await using _store = opened.value.store
  if (loaded.status === 'rejected') throw loaded.reason
  await loaded.value(daemon, { store: opened.value, lost: lost.signal })
}

async function loadServing(): Promise<typeof import('./serve-own.ts')['serveOwn']> {
  const [{ serveOwn }, { serviceDefinitions }] = await Promise.all([import('./serve-own.ts'), import('../rpc/proto.ts')])
  // Made once, which takes longer than all else that serving begins with.
  serviceDefinitions()
  return serveOwn
}
