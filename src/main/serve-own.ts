/** The daemon with a store of its own. */
import type { Config } from '../config/config.ts'
import type { DaemonOptions, Door } from './door.ts'
import { openCluster, tellCluster } from './kubernetes.ts'
import { forgetRuntime } from './last-runtime.ts'
import type { Logger } from './log.ts'
import { openNode, type PullNode } from './node.ts'
import type { OpenStore } from './own-store.ts'
import { figuresOf, openPrepull, type Prepull } from './prepull.ts'
import { openSeen } from './seen.ts'
import { serveUntil } from './serve-until.ts'
import { servicesOf } from './services.ts'

/** `lost` aborts where the store can change nothing any more. */
export async function serveOwn(
  config: Config,
  version: string,
  log: Logger,
  { store, lost }: { readonly store: OpenStore; readonly lost: AbortSignal },
  door: Door,
  options: DaemonOptions,
): Promise<void> {
  let opened: PullNode | undefined
  let prepull: Prepull | undefined
  const sights = { node: () => opened, prepull: () => figuresOf(prepull), isOpen: () => door.isOpen }
  await using seen = await openSeen(config, version, log, sights)
  const { observers } = seen
  await using node = await openNode(config, version, log, { signal: options.signal, mustPull: true, observers, store })
  opened = node
  forgetRuntime(config.rootDir)
  const end = AbortSignal.any([options.signal, lost])
  node.housekeeper.start({ signal: end })
  await using lists = openPrepull(config, log, () => node)
  prepull = lists
  if (lists !== undefined) options.onReload?.(() => lists.reload())
  await using cluster = openCluster(config, version, log, seen.metrics)
  if (lists !== undefined && cluster !== undefined) tellCluster(cluster, lists, () => node, { signal: end, log })
  const tidy = async (): Promise<void> => {
    try {
      // What a crash, or a removal cut short, left behind; nobody waits for it.
      await node.collector.collect()
    } catch (error) {
      log.error({ err: error }, 'the collection at the start failed')
    }
  }
  const stop = async (): Promise<void> => {
    await prepull?.[Symbol.asyncDispose]()
    await node.puller.close()
  }
  const services = servicesOf(config, version, log, node, lists)
  await serveUntil(end, services, config, log, door, seen, options, { tidy, stop })
  // A daemon that can change nothing any more ends with a failure, so that its supervisor starts a new one.
  lost.throwIfAborted()
}
