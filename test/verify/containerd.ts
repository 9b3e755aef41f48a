/** A node's pull path beside Debian's containerd, and its verification: the real store, unpacker and registry client. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pullAgain } from '../../src/pull/again.ts'
import { silent } from '../../src/pull/log.ts'
import type { Puller } from '../../src/pull/pull.ts'
import { createPuller } from '../../src/pull/puller.ts'
import { parseReference } from '../../src/reference/parse.ts'
import { createRegistry } from '../../src/registry/client.ts'
import { openContainerdStore } from '../../src/store/containerd/containerd.ts'
import type { ContainerdStore } from '../../src/store/containerd/containerd-store.ts'
import type { StoredLayer } from '../../src/store/store.ts'
import type { Abortable } from '../../src/task/task.ts'
import { createUnpacker } from '../../src/unpack/pool.ts'
import { createLayerVerifier } from '../../src/verify/layer-verifier.ts'
import type { LayerVerdict, LayerVerifier, VerifyEvent } from '../../src/verify/verify.ts'
import { type Containerd, startContainerd } from '../integration/containerd.ts'
import { startRegistry, type TestRegistry } from '../registry/embedded-registry.ts'
import { type Gate, openGate } from '../store/containerd/gate.ts'
import { recordingLog } from '../store/local/place.ts'
import { boundless } from '../support/boundless.ts'
import { type BuiltImage, publish } from '../support/image.ts'
import { limits } from '../unpack/lab.ts'

export const platform = { os: 'linux', architecture: 'amd64' }

export type Verified = {
  readonly events: readonly VerifyEvent[]
  /** The last one of each layer. */
  readonly verdicts: readonly (LayerVerdict | undefined)[]
}

export interface Beside extends AsyncDisposable {
  readonly containerd: Containerd
  readonly gate: Gate
  readonly registry: TestRegistry
  readonly store: ContainerdStore
  readonly log: ReturnType<typeof recordingLog>
  readonly puller: Puller
  /** What the store has said of being lost. */
  readonly lost: readonly Error[]
  readonly root: string
  /** Publishes it and pulls it; its reference. */
  pull(name: string, image: BuiltImage): Promise<string>
  /** containerd pulls it itself. */
  pullByContainerd(name: string, image: BuiltImage): Promise<string>
  layers(name: string): Promise<readonly StoredLayer[]>
  verify(images?: readonly string[], options?: Partial<Abortable> & { readonly repair?: boolean }): Promise<Verified>
  /** Closes the pull path as a daemon that stops does, and opens it on the same root. */
  restart(): Promise<void>
  /** As a daemon does when it starts. */
  finishRepairs(): Promise<void>
  /** Waits for a whole collection. */
  collectNow(): Promise<void>
}

type Path = AsyncDisposable & {
  readonly store: ContainerdStore
  readonly puller: Puller
  readonly verifier: LayerVerifier
}

async function openPath(
  root: string,
  socket: string,
  log: ReturnType<typeof recordingLog>,
  { signal, onLost }: Abortable & { readonly onLost: (error: Error) => void },
): Promise<Path> {
  await using stack = new AsyncDisposableStack()
  const store = stack.use(await openContainerdStore({ root, socket, platform, log, onLost }, { signal }))
  const unpacker = stack.use(
    createUnpacker({ workers: 2, limits, staging: store.stagingDir, layers: store.landedDir, warn: () => {} }),
  )
  const registry = stack.use(createRegistry({ hostsDir: '/none', userAgent: 'test', progressTimeoutMs: 10_000 }))
  const puller = createPuller({ registry, store, unpacker, platform, maxParallelPulls: 4, room: boundless })
  stack.defer(() => puller.close())
  const verifier = createLayerVerifier({ store, verifier: unpacker, log: silent })
  const held = stack.move()
  return { store, puller, verifier, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

export async function startBeside({ signal }: Abortable): Promise<Beside> {
  await using stack = new AsyncDisposableStack()
  const { path: dir } = stack.use(await mkdtempDisposable(join(tmpdir(), 'windlass-beside-')))
  const containerd = stack.use(await startContainerd(join(dir, 'containerd'), { signal }))
  const gate = stack.use(await openGate(join(dir, 'gate.sock'), containerd.socket))
  const log = recordingLog()
  const root = join(dir, 'root')
  const registry = stack.use(await startRegistry())
  const lost: Error[] = []
  const onLost = (error: Error): void => void lost.push(error)
  let path = await openPath(root, gate.socket, log, { signal, onLost })
  stack.defer(() => path[Symbol.asyncDispose]())
  const offer = (name: string, image: BuiltImage): string => {
    const [repository = name, tag = 'latest'] = name.split(':')
    publish(registry, repository, tag, image)
    return `${registry.host}/${name}`
  }
  const held = stack.move()
  return {
    containerd,
    gate,
    registry,
    get store() {
      return path.store
    },
    get puller() {
      return path.puller
    },
    log,
    lost,
    root,
    restart: async () => {
      await path[Symbol.asyncDispose]()
      path = await openPath(root, gate.socket, log, { signal, onLost })
    },
    finishRepairs: () => path.verifier.finishRepairs(pullAgain(path.puller, 'cri', undefined), { signal }),
    pull: async (name, image) => {
      const reference = offer(name, image)
      await path.puller.pull(
        { reference: parseReference(reference), credentials: { kind: 'anonymous' }, client: 'cri' },
        { signal },
      )
      return reference
    },
    pullByContainerd: async (name, image) => {
      const reference = offer(name, image)
      await containerd.cri.image.pullImage({ image: { image: reference } }, { signal })
      return reference
    },
    layers: async (name) => {
      const ids = (await path.store.find(name))?.layerIds ?? []
      return (await Promise.all(ids.map((id) => path.store.layer(id)))).filter((layer) => layer !== undefined)
    },
    verify: async (images = [], { repair = false, signal: leaving = signal } = {}) => {
      const events: VerifyEvent[] = []
      const again = repair ? { repair: pullAgain(path.puller, 'cli', undefined) } : {}
      await path.verifier.verify({ images, ...again }, { signal: leaving, onEvent: (event) => events.push(event) })
      const layers = events.flatMap((event) => (event.type === 'planned' ? event.layers : []))
      const lastOf = (at: number): LayerVerdict | undefined =>
        events.flatMap((event) => (event.type === 'layer' && event.layer === at ? [event.verdict] : [])).at(-1)
      return { events, verdicts: layers.map((_, at) => lastOf(at)) }
    },
    collectNow: async () => {
      await containerd.ctr(['leases', 'create', '--id', 'now'], { signal })
      await containerd.ctr(['leases', 'rm', '--sync', 'now'], { signal })
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
