/** Benchmarks mount file systems and start daemons; in namespaces of their own, all of it goes when the benchmark does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Abortable } from '../src/task/task.ts'

const mark = 'WINDLASS_BENCH_INSIDE'

export const inSandbox = (): boolean => process.env[mark] === '1'

/**
 * Starts this program again in new mount and process namespaces and returns its exit code. However it ends, Ctrl-C and SIGKILL
 * included, the kernel ends its daemons, undoes its mounts and frees its loop devices.
 */
export async function enterSandbox(): Promise<number> {
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private', ...self],
    {
      stdio: 'inherit',
      env: { ...process.env, [mark]: '1' },
    },
  )
  // The terminal sends Ctrl-C to both; the one inside decides, and we wait for it.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGKILL'))
  const [code] = await once(child, 'exit')
  return typeof code === 'number' ? code : 1
}

/** Runs in there until it is done or told to stop; returns the exit code. */
export async function untilStopped(work: (options: Abortable) => Promise<void>): Promise<number> {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)))
  try {
    await work({ signal: stop.signal })
    return 0
  } catch (error) {
    // What breaks while everything is being stopped is no news.
    if (!stop.signal.aborted) throw error
    console.error('stopped    nothing is left running or mounted')
    return 130
  }
}
