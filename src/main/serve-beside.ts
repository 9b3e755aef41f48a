/** The daemon beside a runtime, whose images these are. */
import type { Config } from '../config/config.ts'
import { createUpstream } from '../rpc/upstream.ts'
import { createPassthrough, fixedPassthrough, type Passthrough, type PassthroughState } from '../runtime/passthrough.ts'
import type { RuntimeAddress } from '../runtime/runtime.ts'
import { status } from '../sys/notify.ts'
import type { Daemon } from './door.ts'
import { openCluster, tellCluster } from './kubernetes.ts'
import { keepRuntime } from './last-runtime.ts'
import type { Logger } from './log.ts'
import type { PullNode } from './node.ts'
import { OwnPath } from './own-path.ts'
import { figuresOf, openPrepull, type Prepull } from './prepull.ts'
import { openSeen } from './seen.ts'
import { serveUntil } from './serve-until.ts'
import { placeBeside, servicesBeside } from './services.ts'
import { keepSwitch, readSwitch } from './switch.ts'

/** Beside a runtime: kubelet is answered from the first moment and whatever happens to our own path. */
export async function serveBeside(address: RuntimeAddress, daemon: Daemon): Promise<void> {
  const { config, log, door, options } = daemon
  const { broken, signal } = options
  await using open = new AsyncDisposableStack()
  let prepull: Prepull | undefined
  const upstream = open.use(createUpstream(address.kind, address.socket))
  const node = (): PullNode | undefined => {
    const state = own?.state
    return state === undefined || 'missing' in state ? undefined : state.node
  }
  const sights = { node, prepull: () => figuresOf(prepull), isOpen: () => door.isOpen, runtime: address }
  const seen = open.use(await openSeen(daemon, sights))
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
  const own = broken === undefined ? open.use(new OwnPath(daemon, address, observers, onOpen)) : undefined
  if (own !== undefined) prepull = openPrepull(config, log, () => placeBeside(address, passthrough, own.state))
  if (prepull !== undefined) {
    const { reload } = open.use(prepull)
    options.onReload?.(reload)
    const cluster = openCluster(daemon, metrics)
    if (cluster !== undefined) tellCluster(open.use(cluster), prepull, node, { signal, log })
  }
  const services = servicesBeside(daemon, {
    address,
    upstream,
    passthrough,
    path: () => own?.state ?? { missing: broken?.message ?? 'it is closed' },
    lists: prepull,
    onForwarded: metrics.forwarded,
  })
  const stop = async (): Promise<void> => {
    await prepull?.[Symbol.asyncDispose]()
    await own?.[Symbol.asyncDispose]()
  }
  // Our own path tidies up whenever it is opened.
  await serveUntil(signal, services, daemon, metrics, { stop })
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
