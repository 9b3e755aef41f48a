/** What a process and its descendants hold, as the kernel counts it (proc_pid_smaps_rollup(5)), again and again until it is disposed. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { descendantsOf } from '../../src/sys/cost.ts'
import type { Abortable } from '../../src/task/task.ts'

/** Bytes. `rss` counts a page once for each process that has it, `pss` shares it out among them all, others on the machine included. */
export type Held = { readonly processes: number; readonly rss: number; readonly pss: number; readonly anonymous: number }

/** The most of each, at whatever moment; `at` is the moment with the most of `rss`, process by process. */
export type Peak = Held & { readonly at: readonly Held[] }

const SAMPLE_MS = 100
const nothing: Held = { processes: 0, rss: 0, pss: 0, anonymous: 0 }

export const heldBy = (pid: number): Held => sum(each(pid))

/** Samples until `work` is over. */
export async function peakWhile(pid: number, work: () => Promise<void>, { signal }: Abortable): Promise<Peak> {
  const over = new AbortController()
  const watching = watch(pid, AbortSignal.any([signal, over.signal]))
  try {
    await work()
  } finally {
    over.abort()
  }
  return await watching
}

async function watch(pid: number, over: AbortSignal): Promise<Peak> {
  let peak: Peak = { ...nothing, at: [] }
  do {
    const at = each(pid)
    const now = sum(at)
    peak = {
      processes: Math.max(peak.processes, now.processes),
      rss: Math.max(peak.rss, now.rss),
      pss: Math.max(peak.pss, now.pss),
      anonymous: Math.max(peak.anonymous, now.anonymous),
      at: now.rss > peak.rss ? at : peak.at,
    }
    await delay(SAMPLE_MS, undefined, { signal: over }).catch(() => {})
  } while (!over.aborted)
  return peak
}

const each = (pid: number): readonly Held[] => [pid, ...descendantsOf(pid)].flatMap(ofProcess)

const sum = (all: readonly Held[]): Held =>
  all.reduce(
    (before, one) => ({
      processes: before.processes + one.processes,
      rss: before.rss + one.rss,
      pss: before.pss + one.pss,
      anonymous: before.anonymous + one.anonymous,
    }),
    nothing,
  )

/** Nothing of one that has ended. */
function ofProcess(pid: number): Held[] {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const bytes = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024
    return [{ processes: 1, rss: bytes('Rss'), pss: bytes('Pss'), anonymous: bytes('Pss_Anon') }]
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return []
    throw error
  }
}
