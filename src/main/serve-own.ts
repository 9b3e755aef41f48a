/** The daemon with a store of its own. */
import type { Daemon } from './door.ts'
import { openCluster, tellCluster } from './kubernetes.ts'
import { forgetRuntime } from './last-runtime.ts'
import { collectAtStart, openNode, type PullNode } from './node.ts'
import type { OpenStore } from './own-store.ts'
import { figuresOf, openPrepull, type Prepull } from './prepull.ts'
import { openSeen } from './seen.ts'
import { serveUntil } from './serve-until.ts'
import { servicesOf } from './services.ts'

/** `lost` aborts where the store can change nothing any more. */
export async function serveOwn(
  daemon: Daemon,
  { store, lost }: { readonly store: OpenStore; readonly lost: AbortSignal },
): Promise<void> {
  const { config, log, door, options } = daemon
  let opened: PullNode | undefined
  let prepull: Prepull | undefined
  const sights = { node: () => opened, prepull: () => figuresOf(prepull), isOpen: () => door.isOpen }
  await using seen = await openSeen(daemon, sights)
  const { observers } = seen
  await using node = await openNode(daemon, { signal: options.signal, mustPull: true, observers, store })
  opened = node
  forgetRuntime(config.rootDir)
  const end = AbortSignal.any([options.signal, lost])
  node.housekeeper.start({ signal: end })
  await using lists = openPrepull(config, log, () => node)
  prepull = lists
  if (lists !== undefined) options.onReload?.(() => lists.reload())
  await using cluster = openCluster(daemon, seen.metrics)
  if (lists !== undefined && cluster !== undefined) tellCluster(cluster, lists, () => node, { signal: end, log })
  const tidy = (): Promise<void> => collectAtStart(node, log)
  const stop = async (): Promise<void> => {
    await prepull?.[Symbol.asyncDispose]()
    await node.puller.close()
  }
  await serveUntil(end, servicesOf(daemon, node, lists), daemon, seen.metrics, { tidy, stop })
  // A daemon that can change nothing any more ends with a failure, so that its supervisor starts a new one.
  lost.throwIfAborted()
}
