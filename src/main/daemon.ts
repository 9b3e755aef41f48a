/** The daemon: a node's pull path behind a unix socket. */
import type { Config } from '../config/config.ts'
import { WindlassError } from '../failure/failure.ts'
import { type Inherited, inheritedSocket } from '../rpc/activation.ts'
import { type CallRecord, type Services, serve } from '../rpc/server.ts'
import { ForeignStatus } from '../rpc/status.ts'
import { createUpstream } from '../rpc/upstream.ts'
import { findRuntime, type Wanted } from '../runtime/find.ts'
import { createPassthrough, fixedPassthrough, type Passthrough, type PassthroughState } from '../runtime/passthrough.ts'
import type { RuntimeAddress } from '../runtime/runtime.ts'
import { shareArena, shrink } from '../sys/footprint.ts'
import { type Notifier, openNotifier, status } from '../sys/notify.ts'
import type { Abortable } from '../task/task.ts'
import { openCluster, tellCluster } from './kubernetes.ts'
import { forgetRuntime, keepRuntime, lastRuntime } from './last-runtime.ts'
import { createLogger, type Logger } from './log.ts'
import { openNode, type PullNode } from './node.ts'
import { OwnPath } from './own-path.ts'
import { figuresOf, openPrepull, type Prepull } from './prepull.ts'
import { openSeen, type Seen } from './seen.ts'
import { placeBeside, servicesBeside, servicesOf } from './services.ts'
import { keepSwitch, readSwitch } from './switch.ts'

/** How long calls under way may take to end once the daemon is told to stop. */
const GRACE_MS = 5_000

export type DaemonOptions = Abortable & {
  readonly onReady?: () => void
  /** Given what is to be called at SIGHUP; without that SIGHUP stops the daemon. */
  readonly onReload?: (reload: () => void) => void
  /** Why the configuration could not be used: beside a runtime, all calls are handed to it; else it is thrown. */
  readonly broken?: Error
}

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
  if (runtime !== undefined) return await serveBeside(runtime, config, version, log, door, options)
  if (options.broken !== undefined) throw options.broken
  await serveOwn(config, version, log, door, options)
}

/** A file that does not say it any more meant the runtime it said before. */
function wantedRuntime({ runtime, rootDir }: Config, { broken }: DaemonOptions): Wanted {
  const isNamed = runtime.endpoint !== undefined || (runtime.kind !== 'auto' && runtime.isUnknown !== true)
  if (broken === undefined || isNamed) return runtime
  const last = lastRuntime(rootDir)
  return last === undefined ? runtime : { kind: last.kind, endpoint: last.socket }
}

/** How the daemon meets the world: who started it, the socket it was given, if any, and whether calls are answered. */
type Door = { readonly manager: Notifier; readonly inherited?: Inherited; isOpen: boolean }

/** With a store of its own. */
async function serveOwn(config: Config, version: string, log: Logger, door: Door, options: DaemonOptions): Promise<void> {
  const lost = new AbortController()
  let opened: PullNode | undefined
  let prepull: Prepull | undefined
  const sights = { node: () => opened, prepull: () => figuresOf(prepull), isOpen: () => door.isOpen }
  await using seen = await openSeen(config, version, log, sights)
  await using node = await openNode(config, version, log, {
    signal: options.signal,
    mustPull: true,
    observers: seen.observers,
    onLost: (error) => lost.abort(error),
  })
  opened = node
  forgetRuntime(config.rootDir)
  // What a crash, or a removal cut short, left behind; nobody waits for it.
  node.collector.collect().catch((error: unknown) => log.error({ err: error }, 'the collection at the start failed'))
  const end = AbortSignal.any([options.signal, lost.signal])
  node.housekeeper.start({ signal: end })
  await using lists = openPrepull(config, log, () => node)
  prepull = lists
  if (lists !== undefined) options.onReload?.(() => lists.reload())
  await using cluster = openCluster(config, version, log, seen.metrics)
  if (lists !== undefined && cluster !== undefined) tellCluster(cluster, lists, () => node, { signal: end, log })
  await serveUntil(end, servicesOf(config, version, log, node, lists), config, log, door, seen, options, async () => {
    await prepull?.[Symbol.asyncDispose]()
    await node.puller.close()
  })
  // A daemon that can change nothing any more ends with a failure, so that its supervisor starts a new one.
  lost.signal.throwIfAborted()
}

/** Beside a runtime: kubelet is answered from the first moment and whatever happens to our own path. */
async function serveBeside(
  address: RuntimeAddress,
  config: Config,
  version: string,
  log: Logger,
  door: Door,
  options: DaemonOptions,
): Promise<void> {
  const { broken, signal } = options
  await using open = new AsyncDisposableStack()
  let prepull: Prepull | undefined
  const upstream = open.use(createUpstream(address.kind, address.socket))
  const node = (): PullNode | undefined => {
    const state = own?.state
    return state === undefined || 'missing' in state ? undefined : state.node
  }
  const sights = { node, prepull: () => figuresOf(prepull), isOpen: () => door.isOpen, runtime: address }
  const seen = open.use(await openSeen(config, version, log, sights))
  const { metrics, observers } = seen
  const onSwitch = (state: PassthroughState): void => {
    log.info({ ...address, ...state }, 'passthrough')
    metrics.passthrough(state.on, 'switched')
    prepull?.wake()
    door.manager.notify(status(state.on ? `passthrough: ${state.reason}` : 'answering'))
  }
  metrics.passthrough(broken !== undefined, 'bad-config')
  if (broken !== undefined) log.error({ ...address, err: broken }, 'every call goes to the runtime until this is mended')
  const passthrough = broken === undefined ? keptPassthrough(config, onSwitch) : fixedPassthrough(broken.message)
  const onOpen = (isOpen: boolean): void => {
    metrics.passthrough(!isOpen, 'not-open')
    prepull?.wake()
    if (isOpen) remember(address, config, log)
  }
  const own = broken === undefined ? open.use(new OwnPath(config, version, log, address, observers, onOpen)) : undefined
  if (own !== undefined) prepull = openPrepull(config, log, () => placeBeside(address, passthrough, own.state))
  if (prepull !== undefined) {
    const { reload } = open.use(prepull)
    options.onReload?.(reload)
    const cluster = openCluster(config, version, log, metrics)
    if (cluster !== undefined) tellCluster(open.use(cluster), prepull, node, { signal, log })
  }
  const services = servicesBeside(config, version, log, {
    address,
    upstream,
    passthrough,
    path: () => own?.state ?? { missing: broken?.message ?? 'it is closed' },
    lists: prepull,
    onForwarded: metrics.forwarded,
  })
  await serveUntil(signal, services, config, log, door, seen, options, async () => {
    await prepull?.[Symbol.asyncDispose]()
    await own?.[Symbol.asyncDispose]()
  })
}

/** Pulls go on without it. */
function remember(address: RuntimeAddress, { rootDir }: Config, log: Logger): void {
  try {
    keepRuntime(rootDir, address)
  } catch (error) {
    log.warn({ root: rootDir, err: error }, 'which runtime this is could not be kept for a start with a bad configuration')
  }
}

/** As it was left: who switched it on before a restart means it after. */
function keptPassthrough({ rootDir }: Config, onSwitch: (state: PassthroughState) => void): Passthrough {
  const initial = readSwitch(rootDir)
  if (initial.on) onSwitch(initial)
  return createPassthrough(onSwitch, { initial, keep: (state) => keepSwitch(rootDir, state) })
}

async function serveUntil(
  end: AbortSignal,
  services: Services,
  { socket, rootDir }: Config,
  log: Logger,
  door: Door,
  { metrics }: Seen,
  { signal, onReady, broken }: DaemonOptions,
  stop: () => Promise<void>,
): Promise<void> {
  const { manager, inherited } = door
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
  shrink()
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
