/**
 * A daemon that has many images and much to do: while it pulls, others ask it, and its loop is measured; then thousands of pulls and removals,
 * after which it must hold no more than before.
 */
import { mkdirSync } from 'node:fs'
import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { openLocalStore } from '../../src/store/local/local.ts'
import type { Abortable } from '../../src/task/task.ts'
import { Disk } from '../crash/disk.ts'
import { eventually } from '../integration/node.ts'
import { mounted, start } from '../integration/process.ts'
import { startWindlass, type Windlass } from '../integration/windlass.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { stock } from '../store/local/stock.ts'
import { type Burden, largeImages, putAll, smallImages } from './burden.ts'
import type { Role } from './probe.ts'
import { metricsOf, type Observed, type Reading, read } from './reading.ts'

export type SteadyOptions = Abortable & {
  /** A disk of its own, or memory, which nobody else's writing slows down. */
  readonly fs: 'ext4' | 'tmpfs'
  readonly images: number
  readonly pulls: number
  readonly cycles: number
  /** How often it is read what the daemon holds, at equal distances. */
  readonly readings: number
  /** How often all large images are pulled. */
  readonly rounds: number
  /** How long it is asked while it has nothing to do, for comparison; 0: not at all. */
  readonly idleMs: number
  /** Of one large image, unpacked. */
  readonly imageMib: number
  readonly onProgress?: (text: string) => void
}

/** How late the loop was, as the daemon says; milliseconds. */
export type Lateness = { readonly p50: number; readonly p99: number; readonly longest: number }

/** What was measured while something went on: how long each call took, in milliseconds. */
export type Phase = {
  readonly name: string
  readonly seconds: number
  readonly loop: Lateness
  readonly status: readonly number[]
  readonly list: readonly number[]
}

export type Steady = {
  /** Without work, during the pulls of large images, and during the cycles. */
  readonly phases: readonly Phase[]
  /** At equal distances, the first when the daemon is warm. */
  readonly readings: readonly Reading[]
}

export async function runSteady(options: SteadyOptions): Promise<Steady> {
  const { signal, images, pulls, onProgress = () => {} } = options
  await using open = new AsyncDisposableStack()
  const registry = open.use(await startRegistry())
  const burden = { large: largeImages(pulls, options.imageMib), small: smallImages(pulls) }
  putAll(registry, [...burden.large, ...burden.small])
  const scratch = open.use(await mkdtempDisposable(join(tmpdir(), 'windlass-steady-')))
  const dir = placeFor(options, scratch.path, open)
  {
    await using store = await openLocalStore({ root: join(dir, 'root'), primaryGraphRoots: [] }, { signal })
    await stock(store, images, { signal })
  }
  onProgress(`${images} images are in the store`)
  const env = { WINDLASS_METRICS_ADDRESS: '127.0.0.1:0', WINDLASS_MAX_PARALLEL_IMAGE_PULLS: String(pulls) }
  const windlass = open.use(await startWindlass(dir, { signal, env }))
  const port = (await windlass.daemon.line(/"metrics":\{"host":"127\.0\.0\.1","port":(\d+)\}/, { signal }))[1]
  const observed: Observed = { pid: windlass.daemon.pid, root: windlass.root, metrics: `http://127.0.0.1:${port}/metrics` }
  const node: Node = { windlass, host: registry.host, observed, scratch: scratch.path, options }

  const idling = async (): Promise<void> => await delay(options.idleMs, undefined, { signal })
  const idle = options.idleMs === 0 ? [] : [await phase(node, 'idle', idling)]
  const pulling = await phase(node, 'pulling', async () => {
    for (let round = 0; round < options.rounds; round++) {
      await Promise.all(burden.large.map((image) => pull(node, image)))
      await Promise.all(burden.large.map((image) => remove(node, image)))
    }
  })
  onProgress(`${options.rounds} × ${pulls} large pulls are done`)
  const readings: Reading[] = []
  const cycling = await phase(node, 'cycles', async () => {
    const between = Math.ceil(options.cycles / options.readings)
    for (let reading = 1; reading <= options.readings; reading++) {
      await cycle(node, burden.small, between)
      readings.push(await settled(node))
      onProgress(`${between * reading} cycles`)
    }
  })
  return { phases: [...idle, pulling, cycling], readings }
}

function placeFor(options: SteadyOptions, scratch: string, open: AsyncDisposableStack): string {
  if (options.fs === 'ext4') return open.use(new Disk(`${gibFor(options)}G`)).dir
  const dir = join(scratch, 'disk')
  mkdirSync(dir)
  open.use(mounted(dir, ['-t', 'tmpfs', '-o', 'size=2g', 'tmpfs']))
  return dir
}

/** Inodes for the images that are there already, bytes for those that are pulled. */
const gibFor = ({ images, pulls, imageMib }: SteadyOptions): number => 1 + Math.ceil(images / 250 + (2 * pulls * imageMib) / 1024)

type Node = {
  readonly windlass: Windlass
  readonly host: string
  readonly observed: Observed
  readonly scratch: string
  readonly options: SteadyOptions
}

/** Runs `work` while others ask. */
async function phase(node: Node, name: string, work: () => Promise<void>): Promise<Phase> {
  const { observed, options } = node
  await using status = await startProbe(node, 'status')
  await using list = await startProbe(node, 'list')
  await metricsOf(observed.metrics, options)
  const begun = performance.now()
  await work()
  const seconds = (performance.now() - begun) / 1000
  const loop = latenessIn(await metricsOf(observed.metrics, options))
  return { name, seconds, loop, status: await status.times(), list: await list.times() }
}

async function startProbe({ windlass, scratch, options }: Node, role: Role) {
  const file = join(scratch, `${role}.json`)
  const args = [join(import.meta.dirname, 'probe.ts'), role, windlass.socket, String(options.images), file]
  const probe = start(process.execPath, args)
  await probe.line(/ready/, options)
  return {
    times: async (): Promise<readonly number[]> => {
      await probe.stop()
      return z.array(z.number()).parse(JSON.parse(await readFile(file, 'utf8')))
    },
    [Symbol.asyncDispose]: () => probe.stop(),
  }
}

function latenessIn(metrics: ReadonlyMap<string, number>): Lateness {
  const at = (quantile: string): number =>
    (metrics.get(`windlass_event_loop_delay_seconds{quantile="${quantile}"}`) ?? Number.NaN) * 1000
  return { p50: at('0.5'), p99: at('0.99'), longest: at('1') }
}

/** Pulls and removes, as many at once as there are images, each image one after another. */
async function cycle(node: Node, burden: readonly Burden[], count: number): Promise<void> {
  let left = count
  await Promise.all(
    burden.map(async (image) => {
      while (left-- > 0) {
        await pull(node, image)
        await remove(node, image)
      }
    }),
  )
}

/** What it holds once it has let go of everything. */
async function settled({ windlass, observed, options }: Node): Promise<Reading> {
  const left = async () => (await Promise.all(['staging', 'trash'].map((name) => readdir(join(windlass.root, name))))).flat()
  await eventually(async () => (await left()).length === 0, options)
  return await read(observed, options)
}

const pull = async ({ windlass, host, options }: Node, { name }: Burden): Promise<void> =>
  void (await windlass.cri.image.pullImage({ image: { image: `${host}/${name}:1` } }, options))

const remove = async ({ windlass, host, options }: Node, { name }: Burden): Promise<void> =>
  void (await windlass.cri.image.removeImage({ image: { image: `${host}/${name}:1` } }, options))
