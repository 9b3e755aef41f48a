/** A podman with everything of its own below one directory, which reads Windlass's store as an additional image store. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Abortable } from '../../src/task/task.ts'
import { type Daemon, run, start } from './process.ts'

export interface Podman {
  /** Its graph root. */
  readonly root: string
  /** Its stdout; throws with what it wrote to stderr if it fails. */
  podman(...args: readonly string[]): Promise<string>
  /** The same as a command line for another program to run. */
  commandLine(...args: readonly string[]): readonly string[]
  /** Runs a command in a new container of an image, and gives what it printed. */
  inContainer(image: string, ...command: readonly string[]): Promise<string>
  /** `repository:tag` of the images it lists, and whether they are another store's, sorted. */
  images(): Promise<readonly string[]>
  /** A long-running one that answers on this unix socket. */
  service(socket: string, options: Abortable): Promise<Daemon>
}

/**
 * Its directories are made below `dir`. `store` is the additional store, if any. Nothing of this machine's podman is touched: locks are
 * files, and networks are the host's. Containers start with limits this kernel's guests may set.
 */
export function privatePodman(dir: string, store: string | undefined, { signal }: Abortable): Podman {
  const at = (name: string): string => join(dir, name)
  mkdirSync(dir, { recursive: true })
  writeFileSync(
    at('containers.conf'),
    `[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
tmp_dir = "${at('tmp')}"
`,
  )
  const args = ['--root', at('graph'), '--runroot', at('run')]
  const additional = store === undefined ? [] : ['--storage-opt', `additionalimagestore=${store}`]
  const environment = [`CONTAINERS_CONF=${at('containers.conf')}`, `TMPDIR=${dir}`]
  const command = (...rest: readonly string[]): readonly string[] => [...environment, 'podman', ...args, ...additional, ...rest]
  const podman = (...rest: readonly string[]): Promise<string> => run('env', command(...rest), { signal })
  return {
    root: at('graph'),
    podman,
    commandLine: (...rest) => ['env', ...command(...rest)],
    inContainer: (image, ...rest) => podman('run', '--rm', '--pull=never', image, ...rest),
    images: async () => {
      const lines = await podman('images', '--format', '{{.Repository}}:{{.Tag}} {{.ReadOnly}}')
      return lines.split('\n').filter(Boolean).toSorted()
    },
    service: async (socket, options) => {
      const daemon = start('env', command('--log-level=info', 'system', 'service', '--time=0', `unix://${socket}`))
      await daemon.line(/API service listening/, options)
      return daemon
    },
  }
}

const entries = z.array(z.looseObject({ id: z.string() }))

/** The entries of a JSON file of containers/storage by id, without the fields that are each store's own. */
export function recordsIn(
  root: string,
  path: 'overlay-layers/layers.json' | 'overlay-images/images.json',
): ReadonlyMap<string, Readonly<Record<string, unknown>>> {
  const list = entries.parse(JSON.parse(readFileSync(join(root, path), 'utf8')))
  return new Map(list.map((entry) => [entry.id, entry]))
}
