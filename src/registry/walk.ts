/** Asks the hosts of a repository in order, each as often as makes sense, until one delivers. */
import type { Abortable } from '../task/task.ts'
import { failureFor, type Result, type TriedHost, type Wanted } from './errors.ts'
import type { RegistryEvent } from './events.ts'
import type { Host } from './hosts.ts'
import { retryDelay, wait } from './retry.ts'

/** What is known of a transfer that spans tries and hosts. `mark` grows with each piece of progress worth the name. */
export type Progress = { mark: number }

export type Walk = Abortable & {
  readonly hosts: readonly Host[]
  readonly path: string
  readonly wanted: Wanted
  readonly log: (event: RegistryEvent) => void
}

/** Throws the one failure that names all hosts tried, what `ask` throws, and `cancelled`. */
export async function walk<T>(
  options: Walk,
  ask: (host: Host) => Promise<Result<T>>,
  progress: Progress = { mark: 0 },
): Promise<T> {
  const { hosts, path, log } = options
  const tried: TriedHost[] = []
  for (const host of hosts) {
    const result = await persist(options, host, host === hosts.at(-1), ask, progress)
    if ('value' in result) return result.value
    tried.push({ host: host.name, trouble: result.trouble })
    log({ type: 'host-failed', host: host.name, path, reason: result.trouble.result })
  }
  throw failureFor(options.wanted, tried)
}

/** One host, until it delivers or there is no use in asking on. */
async function persist<T>(
  { path, log, signal }: Walk,
  host: Host,
  last: boolean,
  ask: (host: Host) => Promise<Result<T>>,
  progress: Progress,
): Promise<Result<T>> {
  const atStart = progress.mark
  for (let tries = 1; ; tries++) {
    const before = progress.mark
    const result = await ask(host)
    if ('value' in result) return result
    if (progress.mark > before) tries = 0
    const { trouble } = result
    const delayMs =
      tries === 0 && trouble.kind === 'unreachable'
        ? 0
        : retryDelay(trouble, Math.max(tries, 1), { last, begun: progress.mark > atStart })
    if (delayMs === undefined) return result
    log({ type: 'retry', host: host.name, path, reason: trouble.result, delayMs })
    await wait(delayMs, signal)
  }
}
