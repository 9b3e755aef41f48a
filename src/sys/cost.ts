/** What processes have cost so far, as the kernel counts it (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs'

/** CPU of the process and of its children it has waited for, in seconds; the most memory it ever had resident, in bytes. */
export type Cost = { readonly cpuSeconds: number; readonly peakRssBytes: number }

/**
 * Of a living process and its living descendants, with the children they waited for (stat fields 14 to 17 in clock ticks of 10 ms, status
 * VmHWM in kB). Peaks are added up, so pages that processes share count once for each. Throws for a process that is not there; children
 * that end while they are looked at are its own by then.
 */
export function costOf(pid: number): Cost {
  return childrenOf(pid)
    .flatMap((child) => unlessEnded(() => costOf(child)) ?? [])
    .reduce(
      (sum, { cpuSeconds, peakRssBytes }) => ({
        cpuSeconds: sum.cpuSeconds + cpuSeconds,
        peakRssBytes: sum.peakRssBytes + peakRssBytes,
      }),
      ownCost(pid),
    )
}

/** All processes that a living one has started, directly or not. */
export const descendantsOf = (pid: number): number[] =>
  (unlessEnded(() => childrenOf(pid)) ?? []).flatMap((child) => [child, ...descendantsOf(child)])

function ownCost(pid: number): Cost {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field, the command's name, may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return { cpuSeconds: ticks / 100, peakRssBytes: Number(peak?.[1] ?? 0) * 1024 }
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
