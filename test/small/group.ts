/** A control group with little memory and CPU, of cgroup v2 or, where the controllers are still there, of v1; a process starts in it. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type Limits = { readonly memoryMib: number; readonly cpus: number }

/** `oomKills`: processes that were killed for want of memory. `limitHits`: how often the kernel had to make room. */
export type Spent = { readonly peakBytes: number; readonly oomKills: number; readonly limitHits: number }

export interface Group extends Disposable {
  /** A program that starts another in the group. */
  readonly wrapper: readonly string[]
  spent(): Spent
}

const PERIOD_US = 100_000
const ROOT = '/sys/fs/cgroup'

/** Throws where this machine does not let us. */
export function makeGroup(limits: Limits): Group {
  const name = `windlass-small-${process.pid}`
  return isIn(ROOT, 'memory') ? inV2(name, limits) : inV1(name, limits)
}

/** Undefined where none can be made here; what kept us from it is said. */
export function tryGroup(limits: Limits): Group | undefined {
  try {
    return makeGroup(limits)
  } catch (error) {
    console.warn(`SKIPPED: no control group with a limit can be made here: ${error instanceof Error ? error.message : error}`)
    return undefined
  }
}

const isIn = (dir: string, controller: string): boolean => {
  try {
    return readFileSync(join(dir, 'cgroup.controllers'), 'utf8').split(/\s+/).includes(controller)
  } catch {
    return false
  }
}

/** cgroup-v2.rst. */
function inV2(name: string, { memoryMib, cpus }: Limits): Group {
  writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+memory +cpu')
  const dir = join(ROOT, name)
  mkdirSync(dir)
  writeFileSync(join(dir, 'memory.max'), String(memoryMib * 2 ** 20))
  writeFileSync(join(dir, 'cpu.max'), `${cpus * PERIOD_US} ${PERIOD_US}`)
  const event = (key: string): number => figureIn(join(dir, 'memory.events'), key)
  return {
    wrapper: joining([dir]),
    spent: () => ({
      peakBytes: Number(readFileSync(join(dir, 'memory.peak'), 'utf8')),
      oomKills: event('oom_kill'),
      limitHits: event('max'),
    }),
    [Symbol.dispose]: () => rmdirSync(dir),
  }
}

/** cgroup-v1/memory.rst, scheduler/sched-bwc.rst. */
function inV1(name: string, { memoryMib, cpus }: Limits): Group {
  const [memory, cpu] = [join(ROOT, 'memory', name), join(ROOT, 'cpu', name)]
  mkdirSync(memory)
  mkdirSync(cpu)
  writeFileSync(join(memory, 'memory.limit_in_bytes'), String(memoryMib * 2 ** 20))
  writeFileSync(join(cpu, 'cpu.cfs_period_us'), String(PERIOD_US))
  writeFileSync(join(cpu, 'cpu.cfs_quota_us'), String(cpus * PERIOD_US))
  return {
    wrapper: joining([memory, cpu]),
    spent: () => ({
      peakBytes: Number(readFileSync(join(memory, 'memory.max_usage_in_bytes'), 'utf8')),
      oomKills: figureIn(join(memory, 'memory.oom_control'), 'oom_kill'),
      limitHits: Number(readFileSync(join(memory, 'memory.failcnt'), 'utf8')),
    }),
    [Symbol.dispose]: () => {
      rmdirSync(memory)
      rmdirSync(cpu)
    },
  }
}

const joining = (dirs: readonly string[]): readonly string[] => {
  const steps = dirs.map((dir) => `echo $$ > ${dir}/cgroup.procs`).join(' && ')
  return ['sh', '-c', `${steps} && exec "$@"`, 'sh']
}

const figureIn = (file: string, key: string): number =>
  Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(readFileSync(file, 'utf8'))?.[1])
