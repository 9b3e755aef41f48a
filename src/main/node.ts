/** The pull path of one node, put together: registry, unpacker, store, puller, collector. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { type Collector, createCollector } from '../gc/gc.ts'
import { Housekeeper } from '../gc/housekeeper.ts'
import type { Platform } from '../oci/oci.ts'
import { hostPlatform } from '../platform/platform.ts'
import { History } from '../pull/history.ts'
import { identifier } from '../pull/identity.ts'
import { createLooker, type Looker } from '../pull/look.ts'
import { Partials } from '../pull/partials.ts'
import type { Puller } from '../pull/pull.ts'
import { createPuller } from '../pull/puller.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import { createRegistry } from '../registry/client.ts'
import { placesFor } from '../registry/places.ts'
import { type ProxyFor, proxiesFrom, proxySettings } from '../registry/proxy.ts'
import type { RuntimeAddress, RuntimeFacts } from '../runtime/runtime.ts'
import { openContainerdStore } from '../store/containerd/containerd.ts'
import type { Store } from '../store/store.ts'
import { shareOfMachine } from '../sys/cgroup.ts'
import type { Abortable } from '../task/task.ts'
import { createUnpacker } from '../unpack/pool.ts'
import { createLayerVerifier } from '../verify/layer-verifier.ts'
import type { LayerVerifier } from '../verify/verify.ts'
import type { Basics } from './basics.ts'
import { identityKey } from './identity-key.ts'
import { keyringFor } from './keyring.ts'
import type { Logger } from './log.ts'
import { countedStore, type Observers } from './observers.ts'
import { type OpenStore, openOwnStore, warnIfLazy } from './own-store.ts'
import { aheadLimits } from './prepull.ts'
import { processorsFor, workersFor } from './workers.ts'

export interface PullNode extends AsyncDisposable {
  readonly puller: Puller
  readonly looker: Looker
  readonly history: History
  readonly store: Store
  readonly collector: Collector
  readonly housekeeper: Housekeeper
  readonly verifier: LayerVerifier
  readonly platform: Platform
}

/** The runtime to pull for, and what it says of itself. */
export type PullFor = { readonly address: RuntimeAddress; readonly facts: RuntimeFacts }

type NodeOptions = Abortable & {
  readonly runtime?: PullFor
  /** Of containerd, in place of the one that its CRI plugin shows. */
  readonly namespace?: string
  /** Pulling is what it is for: without the rights it takes it is not opened. */
  readonly mustPull?: boolean
  /** By default nobody counts or traces. */
  readonly observers?: Observers
  /** Called once if a store that is opened here can change nothing any more. */
  readonly onLost?: (error: Error) => void
  /** One that is open already; by default it is opened here. */
  readonly store?: OpenStore
}

/** Opens the store and builds what pulls into it. Disposing it stops the pulls, then closes everything in reverse. Throws not-permitted. */
export async function openNode(basics: Basics, options: NodeOptions): Promise<PullNode> {
  const { config, version, log } = basics
  await using opened = new AsyncDisposableStack()
  const { observers } = options
  const platform = hostPlatform()
  const { store, ...places } = options.store ?? (await openStore(basics, platform, options))
  opened.use(store)
  const share = shareOfMachine()
  const workers = workersFor(config, share)
  const unpacker = opened.use(
    createUnpacker({
      workers,
      processors: processorsFor(workers, share),
      limits: config.limits,
      writesBack: config.durability === 'Sync',
      ...places,
      warn: (fields, message) => log.warn(fields, message),
    }),
  )
  if (options.mustPull === true) unpacker.checkRights()
  const keyring = keyringFor(config.registry, options.runtime?.facts.registries, log)
  const registry = opened.use(
    createRegistry({
      ...placesFor(config.registry, options.runtime),
      ...(keyring === undefined ? {} : { keyring }),
      proxyFor: proxiesFor(config.registry),
      progressTimeoutMs: config.registry.progressTimeoutMs,
      transfers: config.registry.transfers,
      userAgent: `windlass/${version}`,
      log: (event) => {
        observers?.onRequest(event)
        const { type, ...fields } = event
        if (type === 'unknown-key') log.warn(fields, 'this file of hosts has a key that nobody knows; it is passed over')
        else log.debug(fields, `registry: ${type}`)
      },
    }),
  )
  const maxParallelPulls = config.maxParallelImagePulls
  const collector = createCollector(observers === undefined ? store : countedStore(store, observers.onCollected))
  const partials = await openPartials(config, log)
  const onRemoved = observers === undefined ? {} : { onRemoved: observers.onImageRemoved }
  const housekeeper = new Housekeeper({ store, collector, watermarks: config.gc, log, partials, ...onRemoved })
  const { recheckAccess, staleTagsFor } = config.registry
  const identify = identifier(identityKey(config.rootDir, log))
  const access = { identify, recheckAccess, staleTagsFor }
  const history = opened.use(new History(join(config.rootDir, 'history.jsonl'), log))
  const common = { registry, store, unpacker, platform, room: housekeeper.room, history, log }
  const observed = observers === undefined ? {} : { observer: observers.pulls }
  const ahead = aheadLimits(config, workers)
  const puller = createPuller({ ...common, ahead, maxParallelPulls, partials, ...access, ...observed })
  opened.defer(() => {
    store.stopping?.()
    return puller.close()
  })
  const looker = createLooker({ registry, store, platform })
  const verifier = createLayerVerifier({ store, verifier: unpacker, log })
  const kept = opened.move()
  const parts = { puller, looker, history, store, collector, housekeeper, verifier, platform }
  return { ...parts, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** What a crash, or a removal cut short, left behind goes. Does not throw. */
export async function collectAtStart({ collector }: PullNode, log: Logger): Promise<void> {
  try {
    await collector.collect()
  } catch (error) {
    log.error({ err: error }, 'the collection at the start failed')
  }
}

/**
 * What came of layers before this start, to go on with; where none are kept any more, what is left of them goes. A start can do without,
 * and so can pulls.
 */
async function openPartials({ keepPartials, rootDir }: Config, log: Logger): Promise<Partials | undefined> {
  const dir = join(rootDir, 'partials')
  try {
    if (keepPartials) {
      const partials = new Partials({ dir, log })
      await partials.collect()
      return partials
    }
    await rm(dir, { recursive: true, force: true })
  } catch (error) {
    log.error({ dir, err: error }, 'what came of layers cannot be kept for a restart, nor what lies there be removed')
  }
  return undefined
}

/** In containerd, or on this node's own disk. */
async function openStore({ config, log }: Basics, platform: Platform, options: NodeOptions): Promise<OpenStore> {
  const { runtime, namespace, onLost, signal } = options
  if (runtime?.address.kind !== 'containerd') return await openOwnStore(config, log, options)
  const { rootDir: root, pins, keepBlobs } = config
  const { address, facts } = runtime
  const common = { root, platform, log, keepBlobs, isLazy: warnIfLazy(config, log), ...(onLost === undefined ? {} : { onLost }) }
  const scratch = namespace === undefined ? pinnedOf(facts) : { namespace }
  if (pins.length > 0)
    log.warn({ pins: pins.length }, 'pins of the configuration do not reach images in containerd: they have no effect here')
  const store = await openContainerdStore({ ...common, socket: address.socket, ...scratch, ...rootOf(facts) }, { signal })
  return { store, staging: store.stagingDir, layers: store.landedDir }
}

/** Pods cannot start without it, so kubelet's collection must leave it. */
function pinnedOf({ sandboxImage }: RuntimeFacts): { readonly pinned?: string } {
  return sandboxImage === undefined ? {} : { pinned: formatReference(parseReference(sandboxImage)) }
}

function rootOf({ rootDir }: RuntimeFacts): { readonly containerdRoot?: string } {
  return rootDir === undefined ? {} : { containerdRoot: rootDir }
}

/** Throws invalid-argument for an address in the environment that is none of a proxy. */
export function proxiesFor({ httpProxy: http, httpsProxy: https, noProxy }: Config['registry']): ProxyFor {
  const said = {
    ...(http === undefined ? {} : { http }),
    ...(https === undefined ? {} : { https }),
    ...(noProxy === undefined ? {} : { noProxy }),
  }
  return proxiesFrom(proxySettings(said, process.env))
}
