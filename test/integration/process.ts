/** Real daemons as children of a test: their output can be awaited, their CPU read, and they are gone when the scope ends. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import { cpuSecondsOf } from '../../src/sys/cost.ts'
import type { Abortable } from '../../src/task/task.ts'

export interface Daemon extends AsyncDisposable {
  readonly pid: number
  /** Everything it has written so far, stdout and stderr as they came. */
  output(): string
  /** Waits for output that matches; fails with the output if the process ends first. */
  line(pattern: RegExp, options: Abortable): Promise<RegExpExecArray>
  /** Of itself and its children, so far. */
  cpuSeconds(): number
  /** Ends it with SIGTERM, or with SIGKILL where ten seconds were not enough. Resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

const living = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** Starts a program. `env` is added to our own environment. */
export function start(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Daemon {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  living.add(child)
  void exited.then(() => living.delete(child))

  let output = ''
  const listeners = new Set<() => void>()
  const collect = (text: string) => {
    output += text
    for (const listener of listeners) listener()
  }
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', collect)
  child.once('error', (error) => collect(`${error.message}\n`))

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    child.kill(signal)
    const impatient = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await exited
    clearTimeout(impatient)
  }

  return {
    pid: child.pid ?? -1,
    output: () => output,
    line: (pattern, { signal }) =>
      new Promise((resolve, reject) => {
        const settle = (act: () => void) => {
          listeners.delete(look)
          signal.removeEventListener('abort', abort)
          act()
        }
        const look = () => {
          const match = pattern.exec(output)
          if (match !== null) settle(() => resolve(match))
        }
        const abort = () => settle(() => reject(signal.reason))
        listeners.add(look)
        signal.addEventListener('abort', abort, { once: true })
        void exited.then(() => settle(() => reject(new Error(`${basename(command)} ended:\n${output.slice(-4000)}`))))
        look()
      }),
    cpuSeconds: () => cpuSecondsOf(child.pid ?? -1),
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}

/** Runs a command to its end; throws with what it wrote if it fails. Returns its stdout. */
export async function run(command: string, args: readonly string[], options: Abortable): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], signal: options.signal })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${stderr.slice(-4000)}`)
  return stdout
}

/** A mount that is undone when the scope ends. `args` are mount(8)'s, without the directory. */
export function mounted(directory: string, args: readonly string[]): Disposable {
  const { status, stderr } = spawnSync('mount', [...args, directory], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mount ${args.join(' ')} ${directory}: ${stderr}`)
  return {
    [Symbol.dispose]: () => {
      const undone = spawnSync('umount', [directory], { encoding: 'utf8' })
      // A daemon killed a moment ago may still hold it; detached, it goes with the last holder.
      if (undone.status !== 0) spawnSync('umount', ['--lazy', directory])
    },
  }
}
