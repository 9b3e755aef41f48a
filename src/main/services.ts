/** What the daemon's socket offers, with a store of its own and beside a runtime. */
import type { Config } from '../config/config.ts'
import { createControlService } from '../control/control-service.ts'
import type { ControlledLists } from '../control/queue.ts'
import { createImageService } from '../cri/image-service.ts'
import { type OwnPath as CriPath, createRuntimeImageService, type RuntimeImageParts } from '../cri/runtime-image-service.ts'
import { createRuntimeService } from '../cri/runtime-service.ts'
import { fail } from '../failure/failure.ts'
import { hexOf } from '../oci/digest.ts'
import { hostPlatform } from '../platform/platform.ts'
import type { Place, ShowsPin } from '../prepull/prepull.ts'
import type { Connection } from '../rpc/client.ts'
import { isShownPinned, untilKnown } from '../rpc/known.ts'
import type { Services } from '../rpc/server.ts'
import type { Upstream } from '../rpc/upstream.ts'
import { whyAway } from '../runtime/away.ts'
import { obstacleFor } from '../runtime/obstacle.ts'
import type { Passthrough } from '../runtime/passthrough.ts'
import type { RuntimeAddress } from '../runtime/runtime.ts'
import type { Abortable } from '../task/task.ts'
import type { Basics } from './basics.ts'
import type { PullNode } from './node.ts'
import type { PathState } from './own-path.ts'

/** Over a store of our own. */
export function servicesOf({ config, version, log }: Basics, node: PullNode, lists: ControlledLists | undefined): Services {
  return {
    image: createImageService({ ...node, log }),
    runtime: createRuntimeService(version),
    windlass: createControlService({
      node: () => node,
      ...(lists === undefined ? {} : { lists }),
      log,
      root: config.rootDir,
      platform: node.platform,
      version,
    }),
  }
}

type Policies = {
  readonly registry: Pick<Config['registry'], 'recheckAccess'>
  readonly runtime: Pick<Config['runtime'], 'failurePolicy'>
}

/** The runtime asks mirrors as they come: handed on, a pull would get past the registry's own word, whatever it was that failed before it. */
export const failurePolicyOf = ({ registry, runtime }: Policies): Config['runtime']['failurePolicy'] =>
  registry.recheckAccess ? 'Fail' : runtime.failurePolicy

export type BesideRuntime = {
  readonly address: RuntimeAddress
  readonly upstream: Upstream
  readonly passthrough: Passthrough
  readonly path: () => PathState
  readonly lists: ControlledLists | undefined
  readonly onForwarded: RuntimeImageParts['onForwarded']
}

/** Beside a runtime, whose images these are. */
export function servicesBeside({ config, version, log }: Basics, beside: BesideRuntime): Services {
  const { address, upstream, passthrough, path, lists, onForwarded } = beside
  const own = (): CriPath | { readonly missing: string } => {
    const state = path()
    if ('missing' in state) return state
    const { node, facts, cri } = state
    const common = { puller: node.puller, facts, failurePolicy: failurePolicyOf(config) }
    if (address.kind === 'containerd') return { ...common, images: node.store }
    const confirm = confirmBy(cri, address)
    return { ...common, confirm, store: createImageService({ ...node, log }) }
  }
  return {
    image: createRuntimeImageService({ runtime: address.kind, upstream, passthrough, own, onForwarded, log }),
    runtime: createRuntimeService(version, address),
    windlass: createControlService({
      node: () => {
        const state = path()
        if ('missing' in state) return fail(state.down ?? { kind: 'passthrough', reason: state.missing })
        // containerd's store does not publish what containerd has not taken in.
        if (address.kind === 'containerd') return { ...state.node, showsPin: shownBy(state.cri, address) }
        const confirm = confirmBy(state.cri, address)
        return { ...state.node, confirm: (id, options) => confirm(hexOf(id), options) }
      },
      runtime: {
        address,
        passthrough,
        facts: () => {
          const state = path()
          return 'missing' in state ? undefined : state.facts
        },
        missing: () => {
          const state = path()
          return 'missing' in state ? state.missing : undefined
        },
        down: (options) => whyAway(address, options),
      },
      ...(lists === undefined ? {} : { lists }),
      log,
      root: config.rootDir,
      platform: hostPlatform(),
      version,
    }),
  }
}

/** Where images are pulled ahead, beside a runtime: nowhere while pulls are the runtime's. */
export function placeBeside(address: RuntimeAddress, passthrough: Passthrough, state: PathState): Place | undefined {
  if ('missing' in state || passthrough.state().on || obstacleFor(state.facts, '') !== undefined) return undefined
  const { puller, store } = state.node
  const { cri } = state
  const common = { puller, store, showsPin: shownBy(cri, address) }
  if (address.kind === 'containerd') return common
  const confirm = confirmBy(cri, address)
  return { ...common, confirm: (image, options) => confirm(hexOf(image), options) }
}

/** Whether kubelet hears of a pin. */
const shownBy =
  (cri: Connection, { kind, socket }: RuntimeAddress): ShowsPin =>
  (image, { signal, isNew }) =>
    isShownPinned(
      cri,
      kind === 'crio' ? hexOf(image) : image,
      { runtime: kind === 'crio' ? 'CRI-O' : kind, socket, signal },
      isNew,
    )

/** CRI-O sees what is in its additional store when it next looks. */
const confirmBy =
  (cri: Connection, { socket }: RuntimeAddress) =>
  (imageRef: string, { signal }: Abortable): Promise<void> =>
    untilKnown(cri, imageRef, { runtime: 'CRI-O', socket, signal })
