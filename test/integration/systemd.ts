/** A systemd of a test's own, as the first process of its namespaces: units run as they are written, and the machine knows nothing of it. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Abortable } from '../../src/task/task.ts'
import { eventually } from './node.ts'
import { type Daemon, run, start } from './process.ts'

export interface Machine extends AsyncDisposable {
  /** What a path inside is called outside. */
  at(path: string): string
  /** Runs a command inside; its stdout. */
  run(command: readonly string[], options: Abortable): Promise<string>
  readonly systemd: Daemon
}

const CGROUPS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup']

/** The targets that units with default dependencies hang on, without the many things a whole machine starts for them. */
const TARGETS = ['sysinit', 'basic', 'local-fs', 'sockets', 'network-online', 'shutdown', 'multi-user']

/** Where the unified hierarchy is, if there is one to be seen. */
export const unifiedCgroups = (): string | undefined =>
  CGROUPS.find((path) => /^cgroup\.procs$/m.test(spawnSync('ls', [path], { encoding: 'utf8' }).stdout))

/** `files` are unit files by name, and what belongs into /etc, by `etc/…`; `wanted` are started. */
export async function bootSystemd(
  dir: string,
  top: string,
  files: Readonly<Record<string, string>>,
  wanted: readonly string[],
  { signal }: Abortable,
): Promise<Machine> {
  const units = join(dir, 'units')
  const put = (name: string, text: string): void => {
    mkdirSync(join(units, name, '..'), { recursive: true })
    writeFileSync(join(units, name), text)
  }
  mkdirSync(join(units, 'etc'), { recursive: true })
  for (const name of TARGETS) put(`${name}.target`, '[Unit]\nDefaultDependencies=no\n')
  put('multi-user.target', `[Unit]\nDefaultDependencies=no\nWants=${wanted.join(' ')}\n`)
  for (const [name, text] of Object.entries(files)) put(name, text)

  const cgroup = join(unifiedCgroups() ?? '', `windlass-test-${process.pid}`)
  mkdirSync(cgroup)
  const boot = join(import.meta.dirname, 'systemd-boot.sh')
  const enter = `echo $$ > ${cgroup}/cgroup.procs; exec unshare --mount --pid --fork --uts --ipc --cgroup --kill-child sh "$@"`
  const systemd = start('sh', ['-c', enter, 'sh', boot, units, top])
  await using undo = new AsyncDisposableStack()
  undo.defer(async () => {
    // unshare takes its child with it.
    await systemd.stop('SIGKILL')
    await eventually(async () => removeCgroups(cgroup), { signal: new AbortController().signal })
  })
  const first = await firstProcess(systemd.pid, { signal })
  const inside = (command: readonly string[], options: Abortable) =>
    run('nsenter', ['--target', first, '--mount', '--pid', '--root', '--wd=/', ...command], options)
  // Until it listens; then until everything that is wanted has started, or has failed.
  const state = 'systemctl is-system-running || :'
  await eventually(async () => /^(?:starting|running|degraded)/.test(await inside(['sh', '-c', state], { signal })), { signal })
  await inside(['sh', '-c', 'systemctl is-system-running --wait || :'], { signal })
  const held = undo.move()
  return {
    at: (path) => `/proc/${first}/root${path}`,
    run: inside,
    systemd,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

async function firstProcess(unshare: number, options: Abortable): Promise<string> {
  let first = ''
  await eventually(async () => {
    first = readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8').trim()
    return first !== '' && readFileSync(`/proc/${first}/comm`, 'utf8').trim() === 'systemd'
  }, options)
  return first
}

/** Removes the groups systemd made, deepest first; false while something still dies in one. */
function removeCgroups(group: string): boolean {
  try {
    for (const entry of readdirSync(group, { withFileTypes: true }))
      if (entry.isDirectory() && !removeCgroups(join(group, entry.name))) return false
    rmdirSync(group)
    return true
  } catch {
    return false
  }
}
