/** A daemon that pulls many images of large layers at once, and what it holds before, meanwhile and afterwards. */
import { mkdirSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Abortable } from '../../src/task/task.ts'
import { mounted } from '../integration/process.ts'
import { startWindlass } from '../integration/windlass.ts'
import { pushImage, startDockerRegistry } from '../registry/docker-registry.ts'
import { type Burden, largeImage } from '../steady/burden.ts'
import { type Held, heldBy, type Peak, peakWhile } from './held.ts'

export type MemoryOptions = Abortable & {
  /** Images that share nothing, all pulled at once. */
  readonly pulls: number
  /** Of one image, unpacked. */
  readonly imageMib: number
  /** How long after its start, and after its last pull, a daemon is called idle. */
  readonly idleMs: number
  readonly onProgress?: (text: string) => void
}

export type Memory = {
  readonly seconds: number
  readonly before: Held
  readonly pulling: Peak
  readonly after: Held
}

export async function runMemory(options: MemoryOptions): Promise<Memory> {
  const { signal, pulls, imageMib, idleMs, onProgress = () => {} } = options
  await using open = new AsyncDisposableStack()
  const scratch = open.use(await mkdtempDisposable(join(tmpdir(), 'windlass-memory-')))
  // The registry is a process of its own: ours and what it holds are not counted.
  const registry = open.use(await startDockerRegistry({ dir: join(scratch.path, 'registry') }))
  const names: string[] = []
  for (let i = 0; i < pulls; i++) names.push(await push(registry.host, largeImage(i, imageMib)))
  onProgress(`${pulls} images of ${imageMib} MiB are in the registry`)
  const disk = join(scratch.path, 'disk')
  mkdirSync(disk)
  open.use(mounted(disk, ['-t', 'tmpfs', '-o', `size=${pulls * imageMib * 2 + 64}m,nr_inodes=0`, 'tmpfs']))
  const env = { WINDLASS_MAX_PARALLEL_IMAGE_PULLS: String(pulls), NODE_COMPILE_CACHE: join(scratch.path, 'compiled') }
  await warmUp(join(disk, 'warm-up'), names.slice(0, 1), env, { signal })
  const { cri, daemon } = open.use(await startWindlass(disk, { signal, env }))
  await delay(idleMs, undefined, { signal })
  const before = heldBy(daemon.pid)
  const begun = performance.now()
  const pullAll = async (): Promise<void> =>
    void (await Promise.all(names.map((image) => cri.image.pullImage({ image: { image } }, { signal }))))
  const pulling = await peakWhile(daemon.pid, pullAll, { signal })
  const seconds = (performance.now() - begun) / 1000
  onProgress(`pulled; ${idleMs / 1000} s without work`)
  await delay(idleMs, undefined, { signal })
  return { seconds, before, pulling, after: heldBy(daemon.pid) }
}

/** The first start compiles what later ones find compiled, and takes more for it. */
async function warmUp(
  dir: string,
  images: readonly string[],
  env: Readonly<Record<string, string>>,
  { signal }: Abortable,
): Promise<void> {
  mkdirSync(dir)
  await using windlass = await startWindlass(dir, { signal, env })
  for (const image of images) await windlass.cri.image.pullImage({ image: { image } }, { signal })
}

async function push(host: string, { name, image }: Burden): Promise<string> {
  const layers = image.layers.map(({ blob, descriptor: { mediaType } }) => ({ mediaType, blob }))
  await pushImage({ host, repository: name }, '1', { config: image.config.toString(), layers })
  return `${host}/${name}:1`
}
