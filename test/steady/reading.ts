/** What a daemon holds at a moment, as the kernel counts it. */
import { readdirSync, readFileSync } from 'node:fs'
import { descendantsOf } from '../../src/sys/cost.ts'
import type { Abortable } from '../../src/task/task.ts'
import { run } from '../integration/process.ts'

export type Reading = {
  readonly rss: number
  readonly heap: number
  readonly descriptors: number
  readonly threads: number
  readonly children: number
  /** Below its root. */
  readonly directories: number
}

/** A daemon under observation: its process, its root, and where it shows its metrics. */
export type Observed = { readonly pid: number; readonly root: string; readonly metrics: string }

export async function read({ pid, root, metrics }: Observed, options: Abortable): Promise<Reading> {
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return {
    rss: Number(rss) * 1024,
    heap: (await metricsOf(metrics, options)).get('nodejs_heap_size_used_bytes') ?? Number.NaN,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    children: descendantsOf(pid).length,
    directories: (await run('find', [root, '-type', 'd', '-printf', '.'], options)).length,
  }
}

export async function metricsOf(url: string, { signal }: Abortable): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(url, { signal })).text()
  return new Map([...text.matchAll(/^([a-z]\S*) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]))
}
