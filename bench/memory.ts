/** What processes hold of memory while something is measured: all of them at one moment, for their peaks are not at the same one. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { descendantsOf } from '../src/sys/cost.ts'

/** A look takes less than a millisecond, of a process that otherwise waits. */
const SAMPLE_MS = 100

/** The most that these processes and their descendants have resident at one moment while `work` is under way, in bytes. */
export async function peakWhile<T>(pids: readonly number[], work: () => Promise<T>): Promise<{ value: T; peakRssBytes: number }> {
  const over = new AbortController()
  const watching = watch(pids, over.signal)
  try {
    const value = await work()
    over.abort()
    return { value, peakRssBytes: await watching }
  } finally {
    over.abort()
  }
}

async function watch(pids: readonly number[], over: AbortSignal): Promise<number> {
  let peak = 0
  do {
    peak = Math.max(peak, residentNow(pids))
    await delay(SAMPLE_MS, undefined, { signal: over }).catch(() => {})
  } while (!over.aborted)
  return peak
}

/** A page that several of them share counts once for each, as elsewhere; who shares it costs the kernel too much to say. */
const residentNow = (pids: readonly number[]): number =>
  pids.flatMap((pid) => [pid, ...descendantsOf(pid)]).reduce((sum, pid) => sum + residentOf(pid), 0)

/** proc_pid_status(5). Nothing of one that has ended. */
function residentOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}
