/** Whose turn another process gets at processor and disk (setpriority(2), ioprio_set(2)): these calls mean one thread, so each of its threads is told. */
import { readdirSync, readFileSync } from 'node:fs'
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
const { ESRCH } = constants.errno

/** An extractor's nice value, for its parent. */
export const usualNice = (): number => Math.min(PRIORITY_LOW, getPriority(0) + NICER)

export const behindNice = (): number => Math.min(PRIORITY_LOW, usualNice() + BEHIND)

/**
 * Ranks a process; says what was refused, a line each. Its turns at the processor are left alone where it could not get them back: a pod may
 * come to wait for what it does.
 */
export function rankProcess(pid: number, rank: Rank): string[] {
  const mayReturn = canReturn()
  // The first one, then the list: what is made after has its rank.
  const refused = rankThread(pid, rank, mayReturn)
  return [...new Set([...refused, ...threadsOf(pid).flatMap((thread) => rankThread(thread, rank, mayReturn))])]
}

/** None of a process that has ended. */
function threadsOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

function rankThread(thread: number, rank: Rank, mayReturn: boolean): string[] {
  const refused: string[] = []
  try {
    if (mayReturn) setPriority(thread, rank === 'behind' ? behindNice() : usualNice())
  } catch (error) {
    if (!isGone(error)) refused.push(`setpriority: ${error instanceof Error ? error.message : error}`)
  }
  const value = rank === 'behind' ? IOPRIO.IDLE : IOPRIO.NONE
  const io = ioprioSet(SYS_IOPRIO_SET[process.arch] ?? -1, IOPRIO_WHO_PROCESS, thread, value)
  return io < 0 && io !== -ESRCH ? [...refused, `ioprio_set: ${errnoName(io)}`] : refused
}

const isGone = (error: unknown): boolean => error instanceof Error && 'errno' in error && error.errno === -ESRCH

/** CAP_SYS_NICE, or RLIMIT_NICE (getrlimit(2): 20 less the nice value it allows), which extractors inherit. */
function canReturn(): boolean {
  const limit = /^Max nice priority\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  return missingCapabilities(['CAP_SYS_NICE']).length === 0 || Number(limit) >= 20 - usualNice()
}
