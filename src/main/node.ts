/** The pull path of one node, put together: registry, unpacker, store, puller, collector. */

import type { Config } from '../config/config.ts'
import { type Collector, createCollector } from '../gc/gc.ts'
import type { Platform } from '../oci/oci.ts'
import { hostPlatform } from '../platform/platform.ts'
import type { Puller } from '../pull/pull.ts'
import { createPuller } from '../pull/puller.ts'
import { createRegistry } from '../registry/client.ts'
import { layoutOf } from '../store/local/layout.ts'
import { openLocalStore } from '../store/local/local.ts'
import type { Store } from '../store/store.ts'
import { usableCpus } from '../sys/cpus.ts'
import type { Abortable } from '../task/task.ts'
import { createUnpacker } from '../unpack/pool.ts'
import type { Logger } from './log.ts'

export interface PullNode extends AsyncDisposable {
  readonly puller: Puller
  readonly store: Store
  readonly collector: Collector
  readonly platform: Platform
}

/** Opens the store and builds what pulls into it. Disposing it stops the pulls, then closes everything in reverse. */
export async function openNode(
  config: Config,
  version: string,
  log: Logger,
  { onLost, ...options }: Abortable & { readonly onLost?: (error: Error) => void },
): Promise<PullNode> {
  await using opened = new AsyncDisposableStack()
  const platform = hostPlatform()
  const store = opened.use(
    await openLocalStore({ root: config.rootDir, log, ...(onLost === undefined ? {} : { onLost }) }, options),
  )
  const { staging, overlay } = layoutOf(config.rootDir)
  const unpacker = opened.use(
    createUnpacker({
      workers: workersFor(config),
      limits: config.limits,
      staging,
      layers: overlay,
      warn: (fields, message) => log.warn(fields, message),
    }),
  )
  const registry = opened.use(
    createRegistry({
      hostsDir: config.registry.configPath,
      progressTimeoutMs: config.registry.progressTimeoutMs,
      userAgent: `windlass/${version}`,
      log: ({ type, ...fields }) => log.debug(fields, `registry: ${type}`),
    }),
  )
  const puller = createPuller({ registry, store, unpacker, platform, maxParallelPulls: config.maxParallelImagePulls, log })
  opened.defer(() => puller.close())
  const collector = createCollector(store)
  const kept = opened.move()
  return { puller, store, collector, platform, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** One more than there are CPUs: while one worker waits for bytes, another uses its core. */
function workersFor({ unpackWorkers }: Config): number {
  return unpackWorkers > 0 ? unpackWorkers : Math.ceil(usableCpus()) + 1
}
