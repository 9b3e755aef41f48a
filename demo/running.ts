/** The image put to use: its merged tree mounted, and a process started from it. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { cleanEnv, MAIN } from './daemon.ts'
import { mountsBelow } from './place.ts'
import { expect, nameOf, type Stage } from './stage.ts'

/** Mounts the image with the CLI, looks into it, starts its program, and puts everything away again. */
export async function use(stage: Stage): Promise<void> {
  await mount(stage)
  await run(stage)
}

async function mount(stage: Stage): Promise<void> {
  const target = join(stage.dir, 'merged')
  mkdirSync(target)
  await windlass(stage, ['mount', nameOf(stage, '1'), target])
  const etc = readdirSync(join(target, 'etc'))
  expect(etc.includes('release') && !etc.includes('deleted-later'), 'the merged tree has what the layers say')
  await windlass(stage, ['unmount', target])
  expect(mountsBelow(target).length === 0, 'nothing is mounted any more')
  stage.show.row('mount', `./windlass mount: 3 layers merged, etc/ holds ${etc.join(', ')}; unmounted`)
}

async function run(stage: Stage): Promise<void> {
  const { show } = stage
  if (spawnSync('runc', ['--version'], { stdio: 'ignore' }).status !== 0) {
    show.row(
      'run',
      'runc is not on this machine, so nothing was started; with it: ./windlass bundle IMAGE DIR && runc run -b DIR NAME',
    )
    return
  }
  const bundle = join(stage.dir, 'bundle')
  await windlass(stage, ['bundle', nameOf(stage, '1'), bundle])
  const state = join(stage.dir, 'runc')
  const output = await command(stage, 'runc', ['--root', state, 'run', '--bundle', bundle, `windlass-demo-${process.pid}`])
  await windlass(stage, ['unmount', bundle])
  expect(!existsSync(bundle) && mountsBelow(bundle).length === 0, 'the bundle is taken apart')
  const [greeting = '', verdict = ''] = output.split('\n')
  expect(
    greeting === `hello from ${stage.platform.architecture}` && verdict === 'deleted file absent',
    `the program says hello; it said ${output}`,
  )
  show.row('run', `${JSON.stringify(greeting)}; ${verdict} ${show.paint('green', '✓')} (runc)`)
}

const windlass = (stage: Stage, args: readonly string[]): Promise<string> =>
  command(stage, process.execPath, [MAIN, ...args, '--socket', stage.places.socket])

/** Runs a command to its end and returns its output. Rejects with what it said where it fails. */
async function command({ signal }: Stage, file: string, args: readonly string[]): Promise<string> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: cleanEnv(), signal })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  const name = file === process.execPath ? `windlass ${args[1]}` : `${file} ${args.join(' ')}`
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${err.trim() || out.trim()}`)
  return out
}

/** True where this process may mount, make devices and give files away. */
export const isRoot = (): boolean => process.geteuid?.() === 0 && existsSync('/proc/self/mountinfo')
