/** What is crashed: Windlass alone, or beside a containerd that goes down with it, or alone. */
import { readFileSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { DiffId } from '../../src/oci/digest.ts'
import { connectContainerd } from '../../src/rpc/containerd.ts'
import { RpcError } from '../../src/rpc/status.ts'
import { directoriesOf } from '../../src/store/containerd/mounts.ts'
import { chainIdOf, layerIdsOf, NAMESPACE, SNAPSHOTTER } from '../../src/store/containerd/names.ts'
import { descendantsOf } from '../../src/sys/cost.ts'
import type { Abortable } from '../../src/task/task.ts'
import { type Containerd, startContainerd } from '../integration/containerd.ts'
import { eventually } from '../integration/node.ts'
import type { Daemon } from '../integration/process.ts'
import { type Launch, launchWindlass, startWindlass, type Windlass } from '../integration/windlass.ts'

/** Processes that die on their own; whichever is not named goes on. */
export type Part = 'windlass' | 'runtime'

/** Starts what does not run; `wrapper` is a program with its arguments that starts Windlass. */
export type StartOptions = Abortable & { readonly wrapper?: readonly string[] }

export interface Machine {
  /** What may be killed. */
  readonly parts: readonly [Part, ...Part[]]
  readonly isRunning: boolean
  /** Throws while it does not run. */
  readonly windlass: Windlass
  start(options: StartOptions): Promise<void>
  /** SIGKILL to these parts and to whatever they have started; resolves when all of it is gone. */
  kill(parts: readonly Part[]): Promise<void>
  /** Starts Windlass, and kills it before it need have answered. */
  startInVain(ms: number, options: Abortable): Promise<void>
  /** Where the layers of an image that it shows lie, base first. */
  layersOf(id: string, diffIds: readonly string[], options: Abortable): Promise<readonly string[]>
  /** What its daemons have said lately. */
  output(): string
  /** What lies there and should not, once nothing is under way. */
  left(options: Abortable): Promise<readonly string[]>
}

const lastOf = (daemon: Daemon | undefined): string => daemon?.output().slice(-4000) ?? ''

const notRunning = (): never => {
  throw new Error('the daemon is not running')
}

/** Its images are its own; everything of it lies below `dir`. */
export class Alone implements Machine {
  readonly parts: readonly [Part, ...Part[]] = ['windlass']
  readonly #dir: string
  #running: Windlass | undefined

  constructor(dir: string) {
    this.#dir = dir
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  get windlass(): Windlass {
    return this.#running ?? notRunning()
  }

  async start(options: StartOptions): Promise<void> {
    this.#running ??= await startWindlass(this.#dir, options)
  }

  async kill(): Promise<void> {
    const windlass = this.#running
    this.#running = undefined
    if (windlass !== undefined) await killWindlass(windlass)
  }

  startInVain(ms: number, options: Abortable): Promise<void> {
    return startInVain(this.#dir, {}, ms, options)
  }

  async layersOf(id: string, _diffIds: readonly string[], options: Abortable): Promise<readonly string[]> {
    const { overlayDir, layers } = await this.windlass.cri.windlass.inspectImage({ image: id }, options)
    return layers.map(({ short }) => join(overlayDir, short))
  }

  async left(): Promise<readonly string[]> {
    return (await Promise.all(['staging', 'trash'].map((name) => readdir(join(this.windlass.root, name))))).flat()
  }

  output(): string {
    return lastOf(this.#running?.daemon)
  }

  /** While it is down, its database goes, and it has the other records alone to start from. */
  async loseDatabase(): Promise<void> {
    const root = join(this.#dir, 'root')
    for (const name of await readdir(root)) if (name.startsWith('windlass.db')) await rm(join(root, name))
  }
}

/**
 * Its images are containerd's, with a database of its own; both lie below `dir`. Once it has started, pulls are not left to containerd, whose own
 * are not synced: only while Windlass has lost its way to it.
 */
export class Beside implements Machine {
  readonly parts: readonly [Part, ...Part[]] = ['windlass', 'runtime']
  readonly #dir: string
  #containerd: Containerd | undefined
  #running: Windlass | undefined

  constructor(dir: string) {
    this.#dir = dir
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  get windlass(): Windlass {
    return this.#running ?? notRunning()
  }

  async start({ signal, wrapper = [] }: StartOptions): Promise<void> {
    const how = await this.#startContainerd({ signal })
    this.#running ??= await startWindlass(join(this.#dir, 'windlass'), { signal, wrapper, ...how })
    const { windlass } = this.#running.cri
    // How long it takes is in the table; on a busy machine that may be a while.
    const isOpen = async (): Promise<boolean> => (await windlass.info({}, { signal })).runtime?.missing === ''
    await eventually(isOpen, { signal, seconds: 60 })
  }

  async startInVain(ms: number, { signal }: Abortable): Promise<void> {
    await startInVain(join(this.#dir, 'windlass'), await this.#startContainerd({ signal }), ms, { signal })
  }

  async kill(parts: readonly Part[]): Promise<void> {
    const [windlass, containerd] = [this.#running, this.#containerd]
    const work: Promise<void>[] = []
    if (parts.includes('windlass') && windlass !== undefined) {
      this.#running = undefined
      work.push(killWindlass(windlass))
    }
    if (parts.includes('runtime') && containerd !== undefined) {
      this.#containerd = undefined
      containerd.cri[Symbol.dispose]()
      work.push(killAll(containerd.daemon))
    }
    await Promise.all(work)
  }

  /** By a view of the topmost layer, which goes again. */
  async layersOf(_id: string, diffIds: readonly string[], { signal }: Abortable): Promise<readonly string[]> {
    const top = layerIdsOf(diffIds as readonly DiffId[]).at(-1)
    if (top === undefined) return []
    using containerd = connectContainerd(this.#socket(), NAMESPACE)
    const options = containerd.under(undefined, { signal })
    const key = `look-${process.hrtime.bigint()}`
    const { mounts } = await containerd.snapshots.view({ snapshotter: SNAPSHOTTER, key, parent: chainIdOf(top) }, options)
    await containerd.snapshots.remove({ snapshotter: SNAPSHOTTER, key }, options).catch((error: unknown) => {
      // Nothing holds it: a collection may have been quicker.
      if (!(error instanceof RpcError && error.code === 'NOT_FOUND')) throw error
    })
    return directoriesOf(mounts).lowers.toReversed()
  }

  output(): string {
    return `${lastOf(this.#running?.daemon)}\ncontainerd:\n${lastOf(this.#containerd?.daemon)}`
  }

  /**
   * After a collection that is waited for: each lease but that of the staging area, each snapshot and each directory of one that no image
   * needs. What pulls of containerd's own leave goes first: that is its own to end.
   */
  async left({ signal }: Abortable): Promise<readonly string[]> {
    const { ctr } = this.#containerd ?? notRunning()
    const lines = async (...args: string[]): Promise<string[]> =>
      (await ctr(args, { signal }))
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(' ')[0] ?? '')
    const leases = await lines('leases', 'ls', '-q')
    const ours = leases.filter((id) => id.startsWith('windlass-'))
    for (const id of leases) if (!ours.includes(id)) await ctr(['leases', 'rm', id], { signal })
    await ctr(['leases', 'create', '--id', 'now'], { signal })
    await ctr(['leases', 'rm', '--sync', 'now'], { signal })
    const staging = 1
    const needed = await this.#needed({ signal })
    const snapshots = (await lines('snapshots', '--snapshotter', SNAPSHOTTER, 'ls')).slice(1)
    const others = snapshots.filter((name) => !name.startsWith('windlass-staging-') && !needed.has(name))
    const directories = await readdir(
      join(this.#dir, 'containerd', 'root', `io.containerd.snapshotter.v1.${SNAPSHOTTER}`, 'snapshots'),
    )
    const more = directories.length - needed.size - staging
    return [...ours.slice(1), ...others, ...(more > 0 ? [`${more} directories below snapshots/`] : [])]
  }

  /** Returns how Windlass is started beside it. */
  async #startContainerd({ signal }: Abortable): Promise<Launch> {
    this.#containerd ??= await startContainerd(join(this.#dir, 'containerd'), { signal })
    const { kind, socket } = this.#containerd
    const config = join(this.#dir, 'windlass.yaml')
    await writeFile(config, 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\nruntime: {failurePolicy: Fail}\n')
    return { runtime: { kind, socket }, env: { WINDLASS_CONFIG: config } }
  }

  async #needed({ signal }: Abortable): Promise<ReadonlySet<string>> {
    const { images } = await this.windlass.cri.image.listImages({}, { signal })
    const chains = await Promise.all(
      images.map(async ({ id }) => {
        const { layers } = await this.windlass.cri.windlass.inspectImage({ image: id }, { signal })
        return layerIdsOf(layers.map(({ diffId }) => diffId as DiffId))
      }),
    )
    return new Set(chains.flat().map(chainIdOf))
  }

  #socket(): string {
    return (this.#containerd ?? notRunning()).socket
  }
}

async function startInVain(dir: string, how: Launch, ms: number, { signal }: Abortable): Promise<void> {
  const { daemon } = await launchWindlass(dir, how)
  try {
    await delay(ms, undefined, { signal })
  } finally {
    await killAll(daemon)
  }
}

async function killWindlass({ daemon, cri }: Windlass): Promise<void> {
  await killAll(daemon)
  cri[Symbol.dispose]()
}

async function killAll(daemon: Daemon): Promise<void> {
  const all = [daemon.pid, ...descendantsOf(daemon.pid)]
  for (const pid of all) killQuietly(pid)
  await daemon.stop('SIGKILL')
  while (all.some(isAlive)) await delay(5)
}

export function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** A zombie has let go of everything it had open; its new parent may take its time to bury it (proc_pid_stat(5)). */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat[stat.lastIndexOf(')') + 2] !== 'Z'
  } catch {
    return false
  }
}
