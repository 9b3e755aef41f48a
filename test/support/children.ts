/** The processes a process has started, from /proc. */
import { readdirSync, readFileSync } from 'node:fs'

/** Children by any of its threads (proc_pid_task_children(5)). */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`).trim().split(' ').filter(Boolean).map(Number),
  )
}

/** What has ended since it was listed has nothing to say. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return ''
    throw error
  }
}

/** Those of them that unpack layers. */
export const extractorsOf = (pid: number): number[] =>
  childrenOf(pid).filter((child) => read(`/proc/${child}/cmdline`).includes('extractor'))

/** Open descriptors of a process, and of that of its extractors which has most: how many there are is no leak. */
export const descriptorsOf = (pid: number): number => count(pid) + Math.max(0, ...extractorsOf(pid).map(count))

const count = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length
