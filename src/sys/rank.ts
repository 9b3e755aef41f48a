/** Whose turn another process gets at processor and disk (setpriority(2), ioprio_set(2)). Only its first thread is meant, as these calls have it. */
import { readFileSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'
import { missingCapabilities } from './capabilities.ts'
import { errnoName, wrap } from './libc.ts'

const ioprioSet = wrap<[call: number, which: number, who: number, value: number]>('syscall', 'int64', [
  'int64',
  'int',
  'int',
  'int',
])
/** asm/unistd_64.h, asm-generic/unistd.h. */
const SYS_IOPRIO_SET: Readonly<Record<string, number>> = { x64: 251, arm64: 30 }
const IOPRIO_WHO_PROCESS = 1
/** No class of its own: what its nice value comes to. Idle: only when nobody else wants the disk (schedulers that know classes: bfq, mq-deadline). */
const IOPRIO = { NONE: 0, IDLE: 3 << 13 } as const

/** `behind`: last of all. */
export type Rank = 'usual' | 'behind'

/**
 * Extractors take all the processor there is, the thread that answers very little, and it must not wait for their turns to end. This is
 * between the two of them: against other services a group of its own counts (cgroups(7)), not this (sched(7)).
 */
const NICER = 5
/** The lowest there is, for a daemon that nobody has ranked itself. */
const BEHIND = 14
const { PRIORITY_LOW } = constants.priority

/** An extractor's nice value, for its parent. */
export const usualNice = (): number => Math.min(PRIORITY_LOW, getPriority(0) + NICER)

export const behindNice = (): number => Math.min(PRIORITY_LOW, usualNice() + BEHIND)

/**
 * Ranks a process; says what was refused, a line each. Its turns at the processor are left alone where it could not get them back: a pod may
 * come to wait for what it does.
 */
export function rankProcess(pid: number, rank: Rank): string[] {
  const refused: string[] = []
  try {
    if (mayReturn()) setPriority(pid, rank === 'behind' ? behindNice() : usualNice())
  } catch (error) {
    refused.push(`setpriority: ${error instanceof Error ? error.message : error}`)
  }
  const io = ioprioSet(SYS_IOPRIO_SET[process.arch] ?? -1, IOPRIO_WHO_PROCESS, pid, rank === 'behind' ? IOPRIO.IDLE : IOPRIO.NONE)
  return io < 0 ? [...refused, `ioprio_set: ${errnoName(io)}`] : refused
}

/** CAP_SYS_NICE, or RLIMIT_NICE (getrlimit(2): 20 less the nice value it allows), which extractors inherit. */
function mayReturn(): boolean {
  const limit = /^Max nice priority\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  return missingCapabilities(['CAP_SYS_NICE']).length === 0 || Number(limit) >= 20 - usualNice()
}
