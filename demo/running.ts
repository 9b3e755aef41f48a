/** The image put to use: its merged tree mounted, and a process started from it. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { cleanEnv, MAIN } from './daemon.ts'
import { mountsBelow } from './place.ts'
import { isNamespaced, mayMount } from './rights.ts'
import { expect, nameOf, type Stage } from './stage.ts'

/** Mounts the image with the CLI, looks into it, starts its program, and puts everything away again. */
export async function use(stage: Stage): Promise<void> {
  if (!mayMount()) {
    stage.show.row(
      'mount',
      'mounting needs CAP_SYS_ADMIN, which this process lacks, so the image was neither mounted nor started',
    )
    return
  }
  await mount(stage)
  await (hasRunc() && !isNamespaced() ? runWithRunc(stage) : runWithChroot(stage))
}

async function mount(stage: Stage): Promise<void> {
  const target = await mounted(stage)
  const etc = readdirSync(join(target, 'etc'))
  expect(etc.includes('release') && !etc.includes('deleted-later'), 'the merged tree has what the layers say')
  await unmounted(stage, target)
  stage.show.row('mount', `./windlass mount: 3 layers merged, etc/ holds ${etc.join(', ')}; unmounted`)
}

async function runWithRunc(stage: Stage): Promise<void> {
  const bundle = join(stage.dir, 'bundle')
  await windlass(stage, ['bundle', nameOf(stage, '1'), bundle])
  const state = join(stage.dir, 'runc')
  const output = await command(stage, 'runc', ['--root', state, 'run', '--bundle', bundle, `windlass-demo-${process.pid}`])
  await unmounted(stage, bundle)
  tell(stage, output, 'runc, from ./windlass bundle')
}

async function runWithChroot(stage: Stage): Promise<void> {
  const target = await mounted(stage)
  const output = await command(stage, 'chroot', [target, '/bin/hello'])
  await unmounted(stage, target)
  tell(stage, output, hasRunc() ? 'chroot; runc wants real root' : 'chroot; runc is not on this machine')
}

function tell({ platform, show }: Stage, output: string, by: string): void {
  const [greeting = '', verdict = ''] = output.split('\n')
  expect(
    greeting === `hello from ${platform.architecture}` && verdict === 'deleted file absent',
    `the program greets; it said ${output}`,
  )
  show.row('run', `${JSON.stringify(greeting)}; ${verdict} ${show.paint('green', '✓')} (${by})`)
}

const hasRunc = (): boolean => spawnSync('runc', ['--version'], { stdio: 'ignore' }).status === 0

async function mounted(stage: Stage): Promise<string> {
  const target = join(stage.dir, 'merged')
  await windlass(stage, ['mount', nameOf(stage, '1'), target])
  return target
}

async function unmounted(stage: Stage, dir: string): Promise<void> {
  await windlass(stage, ['unmount', dir])
  expect(mountsBelow(dir).length === 0, 'nothing is mounted any more')
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
