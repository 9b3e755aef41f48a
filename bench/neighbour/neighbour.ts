/** `npm run neighbour`: what a pull's syncing does to who shares its file system, by the way it syncs. */
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { flag, optionsOf, someOf, whole } from '../../scripts/options.ts'
import type { Abortable } from '../../src/task/task.ts'
import { start } from '../../test/integration/process.ts'
import { enterSandbox, inSandbox, untilStopped } from '../sandbox.ts'
import { canLimit, freshDisk } from './disk.ts'
import { describe, IMAGES, type ImageName, makeSample, type Sample } from './image.ts'
import { pull } from './pull.ts'
import { type Measured, markdown, record, table } from './report.ts'
import type { Written } from './tenant.ts'
import { WAYS, type Way } from './ways.ts'

const MIB = 2 ** 20
/** How long the neighbours are watched where nobody pulls, and how long after a pull. */
const ALONE_MS = 15_000
const AFTER_MS = 1_000

export type Choice = {
  readonly runs: number
  readonly ways: readonly Way[]
  readonly images: readonly ImageName[]
  readonly disk: number
  readonly iops: number
  readonly network: number
  readonly dirty: number
  readonly write: boolean
}

function choose(): Choice {
  const {
    way: ways = WAYS,
    image: images = IMAGES,
    ...values
  } = optionsOf({
    command: 'npm run neighbour',
    about: `What a pull's syncing does to who shares its file system, by the way it syncs. Each run has an ext4 of its own, 6 GiB in a sparse
      file on a loop device held to so many MiB a second, and two neighbours on it: one that has so many MiB in memory that are not on disk,
      one that appends 2 KiB and waits for fdatasync, 100 times a second.`,
    takes: 'ten minutes',
    root: true,
    needs: `up to 4 GB of memory, and 3 GB in the temporary directory. Everything is gone afterwards, but a SIGKILL leaves the loop
      device's limit set until the next run`,
    options: {
      runs: whole('N', 3, 'times each way is run, in turn'),
      way: someOf(WAYS, 'how the pull syncs'),
      image: someOf(IMAGES, `what is pulled (${IMAGES.map((name) => `${name}: ${describe(name)}`).join('; ')})`),
      disk: whole('MIB/S', 125, 'how much the disk writes a second'),
      iops: whole('N', 3000, 'how often'),
      network: whole('MIB/S', 119, 'how fast the layers come, 119 being 1 Gbit/s'),
      dirty: whole('MIB', 1024, 'what the neighbour keeps in memory'),
      write: flag('for the record: writes bench/NEIGHBOUR.md'),
    },
    examples: [['--runs 1 --way syncfs,range+syncfs --image many', 'two ways with one image']],
  })
  return { ...values, ways, images }
}

/** One run: a way of syncing, or nobody pulls. */
async function measure(way: Way | 'no pull', sample: Sample, choice: Choice, options: Abortable): Promise<Measured> {
  const { signal } = options
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'windlass-neighbour-'))
  await using disk = await freshDisk(scratch.path, { bytesPerSecond: choice.disk * MIB, writesPerSecond: choice.iops }, options)
  const times = join(scratch.path, 'times.json')
  const tenant = (...args: string[]) => start(process.execPath, [join(import.meta.dirname, 'tenant.ts'), ...args])
  await using dirty = tenant('dirty', join(disk.path, 'dirty'), String(choice.dirty))
  await dirty.line(/ready/, options)
  await using records = tenant('records', join(disk.path, 'records'), times)
  await records.line(/ready/, options)
  // Its first commits find the journal empty.
  await delay(500, undefined, { signal })
  const began = performance.timeOrigin + performance.now()
  const pulled = way === 'no pull' ? undefined : await pull(join(disk.path, 'root'), sample, way, choice.network * MIB, options)
  await delay(pulled === undefined ? ALONE_MS : AFTER_MS, undefined, { signal })
  await records.stop()
  const written: Written[] = z.array(z.tuple([z.number(), z.number()])).parse(JSON.parse(await readFile(times, 'utf8')))
  const during = written.filter(([at]) => at >= began)
  return { way, written: during, ...(pulled === undefined ? {} : { pulled }) }
}

async function compare(choice: Choice, options: Abortable): Promise<void> {
  if (!canLimit()) console.error('no cgroup v1 blkio here: the disk is as fast as it is')
  const tables: string[] = []
  for (const image of choice.images) {
    const measured = await inTurn(image, choice, options)
    console.log(`${image}: ${describe(image)}\n${table(measured)}\n`)
    tables.push(`## ${describe(image)}\n\n${markdown(measured)}`)
  }
  if (choice.write) await writeFile(join(import.meta.dirname, '..', 'NEIGHBOUR.md'), record(tables, choice))
}

async function inTurn(image: ImageName, choice: Choice, options: Abortable): Promise<readonly Measured[]> {
  const sample = makeSample(image)
  const measured: Measured[] = []
  for (let run = 1; run <= choice.runs; run++)
    for (const way of ['no pull' as const, ...choice.ways]) {
      measured.push(await measure(way, sample, choice, options))
      console.error(`${image}, run ${run} of ${choice.runs}: ${way}`)
    }
  return measured
}

async function main(): Promise<number> {
  const choice = choose()
  if (!inSandbox()) return await enterSandbox()
  return await untilStopped((options) => compare(choice, options))
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? `windlass neighbour: ${error.message}` : error)
  process.exitCode = 1
}
