/** How many CPUs this process may use: Node reports the machine's, a container has a quota. */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** At least 1, possibly a fraction above: the cgroup's CPU quota where there is one, else the scheduler's mask. */
export function usableCpus(): number {
  const quota = cgroupFiles().flatMap((file) => quotaIn(file))[0]
  return Math.max(1, Math.min(quota ?? Number.POSITIVE_INFINITY, availableParallelism()))
}

/** cpu.max of cgroup v2, of our own group first, then as a container sees it mounted. */
function cgroupFiles(): string[] {
  const own = read('/proc/self/cgroup')?.match(/^0::(.*)$/m)?.[1] ?? '/'
  return [`/sys/fs/cgroup${own === '/' ? '' : own}/cpu.max`, '/sys/fs/cgroup/cpu.max']
}

/** `quota period` in microseconds, or `max period` (kernel's cgroup-v2.rst, "cpu.max"). */
function quotaIn(file: string): number[] {
  const [quota, period] = read(file)?.trim().split(' ').map(Number) ?? []
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? [quota / period] : []
}

/** Undefined where there is no such file: not every machine has cgroup v2. */
function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
