/** `npm run bench`: cold pulls, Windlass and Debian's containerd and podman in turn; `--help`, in plan.ts, says what of, and what it needs. */
import { mkdtempDisposable, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { installMissing, isal, missingOf, type Part } from '../scripts/machine.ts'
import { optionsOf } from '../scripts/options.ts'
import { cpuSecondsOf } from '../src/sys/cost.ts'
import type { Abortable } from '../src/task/task.ts'
import { run } from '../test/integration/process.ts'
import { startDockerRegistry } from '../test/registry/docker-registry.ts'
import { barChart, colour } from './chart.ts'
import { CONTENDERS, type ContenderName, contenders } from './contender.ts'
import { type CaseFigures, type Measured, medianOf, type Round } from './figures.ts'
import { freshFileSystem } from './file-system.ts'
import { type Floor, floorSeconds, measureFloor } from './floor.ts'
import { type BenchImage, benchCache, benchImage, pushBenchImage } from './images/images.ts'
import { peakWhile } from './memory.ts'
import { benchmark, type Case, type Plan, planFrom } from './plan.ts'
import { results, summary, titleOf } from './report.ts'
import { enterSandbox, inSandbox, untilStopped } from './sandbox.ts'

const parts: readonly Part[] = [
  { package: 'docker-registry', shownBy: 'docker-registry', neededBy: 'serving the images' },
  { package: 'mmdebstrap', shownBy: 'mmdebstrap', neededBy: 'making the Debian image' },
  { package: 'containerd', shownBy: 'containerd', neededBy: 'the comparison' },
  { package: 'podman', shownBy: 'podman', neededBy: 'the comparison' },
  { package: 'pigz', shownBy: 'unpigz', neededBy: 'the peers at their best' },
  { package: 'isal', shownBy: 'igzip', neededBy: 'the floor' },
  { package: 'zstd', shownBy: 'zstd', neededBy: 'the floor of zstd layers' },
  { package: 'curl', shownBy: 'curl', neededBy: 'the floor' },
  { package: 'openssl', shownBy: 'openssl', neededBy: 'the floor' },
]

const say = (topic: string, text: string) => console.error(`${topic.padEnd(10)} ${text}`)

type Served = { readonly image: BenchImage; readonly reference: string }
type Bench = Abortable & { readonly scratch: string }

/** One cold pull: fresh file system, daemon up, then the clock. */
async function measure(name: ContenderName, { image, reference }: Served, fs: Case['fs'], at: Bench): Promise<Measured> {
  const { signal, scratch } = at
  await using disk = await freshFileSystem(fs, scratch, { signal })
  await using ready = await contenders[name].start(join(disk.path, name), { signal })
  const cpu = (): number => ready.pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0)
  const pull = async () => {
    const [before, started] = [cpu(), performance.now()]
    const imageId = await ready.pull(reference, { signal })
    const seconds = (performance.now() - started) / 1000
    return { imageId, seconds, cpuSeconds: cpu() - before }
  }
  const { value, peakRssBytes } = await peakWhile(ready.pids, pull)
  const { imageId, ...times } = value
  if (imageId !== image.imageId) throw new Error(`${name} pulled ${imageId}, wanted ${image.imageId}`)
  const writtenBytes = await disk.written({ signal })
  return { ...times, peakRssBytes, writtenBytes }
}

async function runCase(each: Case, served: Served, floor: Floor, runs: number, at: Bench): Promise<CaseFigures> {
  const rounds: Round[] = []
  const [before = 0] = loadavg()
  for (let round = 1; round <= runs; round++) {
    const measured = new Map<ContenderName, Measured>()
    for (const name of each.contenders) measured.set(name, await measure(name, served, each.fs, at))
    rounds.push(measured)
    const told = [...measured].map(([name, { seconds }]) => `${name} ${seconds.toFixed(2)} s`)
    say(`round ${round}`, told.join('   '))
  }
  const [after = 0] = loadavg()
  return { case: each, image: served.image, floor, rounds, load: [before, after] }
}

async function runPlan(plan: Plan, { signal }: Abortable): Promise<void> {
  if (plan.rebuild) await rm(benchCache, { recursive: true, force: true })
  const started = performance.now()
  const images = new Map<string, BenchImage>()
  const keyOf = ({ image, compression }: Case): string => `${image} ${compression}`
  for (const each of plan.cases)
    images.set(keyOf(each), await benchImage(each.image, each.compression, (text) => say('image', text), { signal }))
  await using registry = await startDockerRegistry({ dir: join(benchCache, 'registry') })
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'windlass-bench-run-'))
  const at: Bench = { scratch: scratch.path, signal }
  const all: CaseFigures[] = []
  const floors = new Map<BenchImage, Floor>()
  for (const each of plan.cases) {
    const image = images.get(keyOf(each))
    if (image === undefined) throw new Error(`no image for ${keyOf(each)}`)
    const served = { image, reference: await pushBenchImage(registry.host, image, { signal }) }
    say('case', `${keyOf(each)} ${each.fs}`)
    // Memory and caches that nobody has touched yet are slow.
    if (plan.warmUp && all.length === 0) for (const name of each.contenders) await measure(name, served, each.fs, at)
    const floor = floors.get(image) ?? (await measureFloor(image, served.reference, scratch.path, { signal }))
    floors.set(image, floor)
    const figures = await runCase(each, served, floor, plan.runs, at)
    all.push(figures)
    console.log(`\n${summary(figures)}\n`)
    // As far as it came: a run of an hour may be interrupted.
    if (plan.write) await record(all, { signal })
  }
  say('done', `${Math.round((performance.now() - started) / 1000)} s in all`)
}

async function record(all: readonly CaseFigures[], options: Abortable): Promise<void> {
  const versionOf = async (program: string) => (await run(program, ['--version'], options)).trim().split(' ')[2] ?? 'unknown'
  // The one that test/integration/containerd.ts starts.
  const programs = process.env.WINDLASS_TEST_CONTAINERD
  const peer = programs === undefined ? 'containerd' : join(programs, 'containerd')
  const [containerd, podman] = await Promise.all([versionOf(peer), versionOf('podman')])
  const args = process.argv.slice(2)
  const command = `npm run bench -- ${args.join(' ')}`
  await writeFile(join(import.meta.dirname, 'RESULTS.md'), results(all, { command, containerd, podman }))
  await writeFile(join(import.meta.dirname, 'results.svg'), drawn(all))
}

function drawn(all: readonly CaseFigures[]): string {
  const groups = all.map((figures) => {
    const bars = figures.case.contenders.map((name) => ({
      name: contenders[name].title,
      value: medianOf(figures.rounds, name, 'seconds') ?? 0,
      colour: colour(CONTENDERS.indexOf(name)),
    }))
    const floor = { name: 'floor', value: floorSeconds(figures.floor), colour: colour(CONTENDERS.length) }
    return { title: titleOf(figures), bars: [...bars, floor].map((bar) => ({ ...bar, label: `${bar.value.toFixed(1)} s` })) }
  })
  return barChart('Seconds of a cold pull, medians', groups)
}

async function main(): Promise<number> {
  const plan = planFrom(optionsOf(benchmark([...parts, isal].map((part) => part.package))))
  if (!inSandbox()) {
    const obstacle = installMissing([...parts, isal])
    const needed = missingOf(parts)
    if (needed.length > 0)
      throw new Error(`missing: ${needed.map((part) => part.package).join(', ')} (${obstacle ?? 'no reason known'})`)
    return enterSandbox()
  }
  return await untilStopped((options) => runPlan(plan, options))
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? `windlass bench: ${error.message}` : error)
  process.exitCode = 1
}
