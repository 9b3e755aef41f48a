/** A command in a folder of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { Abortable } from '../../src/task/task.ts'

/** Its stdout; throws with what it wrote where it fails. It is not told of npm's own variables, which a run by npm has. */
export async function runIn(cwd: string, command: string, args: readonly string[], { signal }: Abortable): Promise<string> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(?!config_)/.test(name)))
  const child = spawn(command, args, { cwd, env, signal, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${stderr.slice(-4000)}`)
  return stdout
}
