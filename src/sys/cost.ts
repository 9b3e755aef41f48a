/** What processes have cost so far, as the kernel counts it (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs'

/**
 * CPU seconds of a living process and its living descendants, with the children they waited for (stat fields 14 to 17 in clock ticks of
 * 10 ms). Throws for a process that is not there; children that end while they are looked at are its own by then.
 */
export const cpuSecondsOf = (pid: number): number =>
  childrenOf(pid)
    .flatMap((child) => unlessEnded(() => cpuSecondsOf(child)) ?? [])
    .reduce((sum, seconds) => sum + seconds, ownSeconds(pid))

/** All processes that a living one has started, directly or not. */
export const descendantsOf = (pid: number): number[] =>
  (unlessEnded(() => childrenOf(pid)) ?? []).flatMap((child) => [child, ...descendantsOf(child)])

function ownSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field, the command's name, may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) / 100
}

/** Every thread has children of its own. */
const childrenOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )

/** Undefined where it ended while it was looked at (ESRCH on reading, ENOENT on opening). */
function unlessEnded<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return undefined
    throw error
  }
}
