/** The daemon as a child process: started as the unit file would start it, awaited, killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Abortable } from '../src/task/task.ts'

export const MAIN = join(import.meta.dirname, '../src/main.ts')
/** As in the unit file. */
const NODE_FLAGS = ['--max-semi-space-size=1']
/** How long a daemon may take to put things away before it is killed. */
const STOP_MS = 10_000

export type Places = { readonly root: string; readonly socket: string; readonly hostsDir: string }

export interface Daemon extends AsyncDisposable {
  readonly pid: number
  /** Milliseconds from spawning it until it said that it is ready. */
  readonly readyMs: number
  /** SIGKILL, and its end awaited. */
  kill(): Promise<void>
}

/** The environment without settings that would reach into the demo's daemon. */
export const cleanEnv = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WINDLASS_') && name !== 'NOTIFY_SOCKET'))

/** Starts `windlass serve` and waits until it is ready. Rejects with the last lines it wrote where it ends before. */
export async function startDaemon({ root, socket, hostsDir }: Places, { signal }: Abortable): Promise<Daemon> {
  const startedAt = performance.now()
  const child = spawn(
    process.execPath,
    [...NODE_FLAGS, MAIN, 'serve', '--root', root, '--socket', socket, '--hosts-dir', hostsDir],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: cleanEnv(),
    },
  )
  const exited = once(child, 'exit')
  // Should this process end in a way that puts nothing away, the daemon ends with it.
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  child.once('exit', () => process.off('exit', killWithUs))
  try {
    await ready(child, exited, signal)
  } catch (error) {
    await stop(child, exited)
    throw error
  }
  return {
    pid: child.pid ?? 0,
    readyMs: performance.now() - startedAt,
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
    [Symbol.asyncDispose]: () => stop(child, exited),
  }
}

async function ready(child: ChildProcess, exited: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const last: string[] = []
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  if (child.stderr === null) throw new Error('the daemon has no stderr')
  // Read to the end, so that the daemon never waits for a full pipe.
  createInterface({ input: child.stderr }).on('line', (line) => {
    last.push(line)
    if (last.length > 20) last.shift()
    // The log is JSON where nobody configured it otherwise, and here nobody did.
    if (line.includes('"msg":"ready"')) resolve()
  })
  exited.then(
    () => reject(new Error(`the daemon ended before it was ready:\n${last.join('\n')}`)),
    (error) => reject(error),
  )
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  child.kill('SIGTERM')
  await exited
  clearTimeout(impatience)
}
