/**
 * What of the machine this process may use: Node reports the machine's CPUs and memory, a service or a container has limits. Each group up
 * to the top may have one, and the tightest holds. Controllers are those of cgroup v2, or of v1 where a machine still has them there.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'

/** CPUs, possibly a fraction of one; bytes. */
export type Share = { readonly cpus: number; readonly memory: number }

type Controller = 'cpu' | 'memory'
/** Where one controller's hierarchy is mounted, and our group's directories in it, from our own up. */
type Hierarchy = { readonly isV2: boolean; readonly groups: readonly string[] }

/** `top` is where /proc and the mounts of /sys are. */
export function shareOfMachine(top = '/'): Share {
  return {
    cpus: Math.min(availableParallelism(), ...limits(top, 'cpu', cpusOf)),
    memory: Math.min(totalmem(), ...limits(top, 'memory', memoryOf)),
  }
}

function limits(top: string, controller: Controller, limitOf: (group: string, isV2: boolean) => number | undefined): number[] {
  return hierarchiesOf(top, controller).flatMap(({ isV2, groups }) => groups.flatMap((group) => limitOf(group, isV2) ?? []))
}

/** cgroup-v2.rst, "cpu.max": quota and period in microseconds, or `max`; in v1 (sched-bwc.rst) a file each, −1 where there is no limit. */
function cpusOf(group: string, isV2: boolean): number | undefined {
  const texts = isV2
    ? read(join(group, 'cpu.max'))?.split(' ')
    : [read(join(group, 'cpu.cfs_quota_us')), read(join(group, 'cpu.cfs_period_us'))]
  const [quota = 0, period = 0] = texts?.map(Number) ?? []
  return quota > 0 && period > 0 ? quota / period : undefined
}

/** cgroup-v2.rst, "memory.max"; in v1 (memory.rst) an enormous number where there is no limit. */
function memoryOf(group: string, isV2: boolean): number | undefined {
  const bytes = Number(read(join(group, isV2 ? 'memory.max' : 'memory.limit_in_bytes')))
  return bytes > 0 ? bytes : undefined
}

/** proc_pid_mountinfo(5): id parent device root target options … - type source options. */
function hierarchiesOf(top: string, controller: Controller): Hierarchy[] {
  return (read(join(top, 'proc/self/mountinfo')) ?? '').split('\n').flatMap((line): Hierarchy[] => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root = '', target = ''] = before.split(' ')
    const [type, , options = ''] = after.split(' ')
    const isV2 = type === 'cgroup2'
    if (!isV2 && !(type === 'cgroup' && options.split(',').includes(controller))) return []
    return [{ isV2, groups: groupsBelow(join(top, target), root, groupIn(top, isV2 ? '' : controller)) }]
  })
}

/** cgroups(7), /proc/[pid]/cgroup: number:controllers:path; v2 has no controllers. */
function groupIn(top: string, controller: string): string {
  const lines = read(join(top, 'proc/self/cgroup'))?.split('\n') ?? []
  const own = lines.map((line) => /^\d+:(.*?):(.*)$/.exec(line)).find((match) => match?.[1]?.split(',').includes(controller))
  return own?.[2] ?? '/'
}

/** A mount may begin at a group of the hierarchy: a container sees its own as the top, or that of the machine's path by its name. */
function groupsBelow(target: string, root: string, group: string): string[] {
  const path = group === root || group.startsWith(`${root}/`) ? group.slice(root.length) : group
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  return [...parts.keys(), parts.length].toReversed().map((length) => join(target, ...parts.slice(0, length)))
}

/** Undefined where there is no such file: the top of a hierarchy has no limits. */
function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
