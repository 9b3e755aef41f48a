/**
 * `npm run bench`: a cold pull of one real image, Windlass and Debian's containerd in turn, each on a fresh file system.
 *
 *     npm run bench -- [--runs N] [--peer containerd|none] [--fs tmpfs|ext4] [--into own|containerd] [--rebuild] [--write]
 *
 * Both daemons are up and empty before the clock starts; the registry is Debian's, on loopback; a warm-up pull of each comes first.
 */
import { mkdir, mkdtempDisposable, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installMissing, isal, isRoot, missingOf, type Part } from '../scripts/machine.ts'
import type { Abortable } from '../src/task/task.ts'
import { mounted, run } from '../test/integration/process.ts'
import { startDockerRegistry } from '../test/registry/docker-registry.ts'
import { type Contender, containerd, windlass, windlassInContainerd } from './contender.ts'
import { type BenchImage, benchCache, benchImage, pushBenchImage } from './image.ts'
import { type Measured, type Pair, results, summary } from './report.ts'
import { enterSandbox, inSandbox } from './sandbox.ts'

const parts: readonly Part[] = [
  { package: 'docker-registry', shownBy: 'docker-registry', neededBy: 'serving the image' },
  { package: 'mmdebstrap', shownBy: 'mmdebstrap', neededBy: 'making the image' },
  { package: 'containerd', shownBy: 'containerd', neededBy: 'the comparison' },
  { package: 'pigz', shownBy: 'unpigz', neededBy: 'containerd at its best' },
  isal,
]

type FileSystem = 'tmpfs' | 'ext4'
type Choice = {
  readonly runs: number
  readonly peer: boolean
  readonly fs: FileSystem
  /** Whether Windlass keeps what it pulls, or lands it in a containerd of its own. */
  readonly into: 'own' | 'containerd'
  readonly rebuild: boolean
  readonly write: boolean
}

const say = (topic: string, text: string) => console.error(`${topic.padEnd(10)} ${text}`)

function choose(): Choice {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '3' },
      peer: { type: 'string', default: 'containerd' },
      fs: { type: 'string', default: 'tmpfs' },
      into: { type: 'string', default: 'own' },
      rebuild: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  })
  const { peer, fs, into } = values
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: want a number of at least 1`)
  if (peer !== 'containerd' && peer !== 'none') throw new Error(`--peer ${peer}: want containerd or none`)
  if (fs !== 'tmpfs' && fs !== 'ext4') throw new Error(`--fs ${fs}: want tmpfs or ext4`)
  if (into !== 'own' && into !== 'containerd') throw new Error(`--into ${into}: want own or containerd`)
  if (into === 'containerd' && values.write) throw new Error('--write: the record is of a store of our own')
  return { runs, into, peer: peer === 'containerd', fs, rebuild: values.rebuild, write: values.write }
}

/** One cold pull: fresh file system, daemon up, then the clock. */
async function measure(contender: Contender, image: BenchImage, reference: string, at: Bench): Promise<Measured> {
  const { signal } = at
  await using fs = await freshFileSystem(at)
  await using ready = await contender.start(join(fs.path, contender.name), { signal })
  const before = ready.cost()
  const started = performance.now()
  const { imageRef } = await ready.cri.image.pullImage({ image: { image: reference } }, { signal })
  const seconds = (performance.now() - started) / 1000
  const after = ready.cost()
  if (imageRef !== image.imageId) throw new Error(`${contender.name} pulled ${imageRef}, wanted ${image.imageId}`)
  return { seconds, cpuSeconds: after.cpuSeconds - before.cpuSeconds, peakRssBytes: after.peakRssBytes }
}

type Bench = Abortable & { readonly fs: FileSystem; readonly scratch: string }

/**
 * Never the same file system twice: after a large delete ext4's inode allocator skips freed inodes for minutes, and creating a file
 * takes ten times as long.
 */
async function freshFileSystem({ fs, scratch, signal }: Bench): Promise<AsyncDisposable & { readonly path: string }> {
  const [path, device] = [join(scratch, 'fs'), join(scratch, 'ext4.img')]
  await mkdir(path, { recursive: true })
  if (fs === 'ext4') {
    await writeFile(device, '')
    await truncate(device, 12 * 2 ** 30)
    await run('mkfs.ext4', ['-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard', device], { signal })
  }
  const mount = mounted(path, fs === 'tmpfs' ? ['-t', 'tmpfs', '-o', 'size=80%,nr_inodes=0', 'tmpfs'] : ['-o', 'loop', device])
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      mount[Symbol.dispose]()
      await rm(device, { force: true })
    },
  }
}

async function compare(choice: Choice, { signal }: Abortable): Promise<void> {
  if (choice.rebuild) await rm(benchCache, { recursive: true, force: true })
  const image = await benchImage((text) => say('image', text), { signal })
  await using registry = await startDockerRegistry({ dir: join(benchCache, 'registry') })
  const reference = await pushBenchImage(registry.host, image, { signal })
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'windlass-bench-run-'))
  const at: Bench = { fs: choice.fs, scratch: scratch.path, signal }

  say('warm-up', choice.peer ? 'windlass, containerd' : 'windlass')
  const our = choice.into === 'own' ? windlass : windlassInContainerd
  await measure(our, image, reference, at)
  if (choice.peer) await measure(containerd, image, reference, at)
  const pairs: Pair[] = []
  for (let index = 1; index <= choice.runs; index++) {
    const ours = await measure(our, image, reference, at)
    const theirs = choice.peer ? await measure(containerd, image, reference, at) : undefined
    pairs.push({ ours, theirs })
    const against = theirs === undefined ? '' : `   containerd ${theirs.seconds.toFixed(2)} s`
    say(`pair ${index}`, `windlass ${ours.seconds.toFixed(2)} s${against}`)
  }
  console.log(summary(image, choice.fs, pairs))
  if (choice.write) await writeFile(join(import.meta.dirname, 'RESULTS.md'), await results(image, choice.fs, pairs, { signal }))
}

async function main(): Promise<number> {
  const choice = choose()
  if (!isRoot()) throw new Error('the benchmark mounts file systems and runs containerd: it needs root')
  if (!inSandbox()) {
    const obstacle = installMissing(parts)
    const needed = missingOf(parts).filter((part) => part !== isal)
    if (needed.length > 0)
      throw new Error(`missing: ${needed.map((part) => part.package).join(', ')} (${obstacle ?? 'no reason known'})`)
    return enterSandbox()
  }
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)))
  try {
    await compare(choice, { signal: stop.signal })
    return 0
  } catch (error) {
    // What breaks while everything is being stopped is no news.
    if (!stop.signal.aborted) throw error
    say('stopped', 'nothing is left running or mounted')
    return 130
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? `windlass bench: ${error.message}` : error)
  process.exitCode = 1
}
