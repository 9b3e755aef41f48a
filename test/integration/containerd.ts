/** Debian's containerd with its CRI plugin, on directories of its own: what our trees and times are compared with. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Connection, connect } from '../../src/rpc/client.ts'
import { RpcError } from '../../src/rpc/status.ts'
import type { Abortable } from '../../src/task/task.ts'
import { type Daemon, run, start } from './process.ts'

export interface Containerd extends AsyncDisposable {
  readonly kind: 'containerd'
  readonly socket: string
  /** Runs ctr in the CRI plugin's namespace; its stdout. */
  ctr(args: readonly string[], options: Abortable): Promise<string>
  /** Ends it with SIGKILL and starts it anew on what it has left. */
  crash(options: Abortable): Promise<void>
  readonly daemon: Daemon
  /** Its CRI services; registries on loopback are tried over plain HTTP by default. */
  readonly cri: Connection
  /** Mounts the merged tree of an image it has, read-only, until the scope ends. */
  mount(reference: string, target: string, options: Abortable): Promise<AsyncDisposable>
}

/** What its configuration may add: lines of the CRI plugin's table. */
export type ContainerdOptions = Abortable & { readonly cri?: string }

/**
 * Starts containerd with everything below `dir`, which must support overlay's upper directories. Downloads run eight at a time. Which
 * containerd that is, and its ctr, WINDLASS_TEST_CONTAINERD says, a directory of programs; else it is the one on PATH.
 */
export async function startContainerd(dir: string, { signal, cri: lines = '' }: ContainerdOptions): Promise<Containerd> {
  await mkdir(dir, { recursive: true })
  const socket = join(dir, 'containerd.sock')
  const config = join(dir, 'config.toml')
  await writeFile(config, configuration(dir, socket, lines))
  const boot = async (): Promise<{ readonly daemon: Daemon; readonly cri: Connection }> => {
    const daemon = start(program('containerd'), ['--config', config], { PATH: `${programs ?? ''}:${process.env.PATH ?? ''}` })
    try {
      await daemon.line(/containerd successfully booted/, { signal })
      const cri = await connect(socket, { signal })
      await initialized(cri, { signal })
      return { daemon, cri }
    } catch (error) {
      await daemon.stop()
      throw error
    }
  }
  let running = await boot()
  const ctr: Containerd['ctr'] = (args, options) =>
    run(program('ctr'), ['--address', socket, '--namespace', 'k8s.io', ...args], options)
  return {
    kind: 'containerd',
    socket,
    get daemon() {
      return running.daemon
    },
    get cri() {
      return running.cri
    },
    ctr,
    crash: async () => {
      await running.daemon.stop('SIGKILL')
      running.cri[Symbol.dispose]()
      running = await boot()
    },
    mount: (reference, target, options) => mountView(ctr, reference, target, options),
    [Symbol.asyncDispose]: async () => {
      running.cri[Symbol.dispose]()
      await running.daemon.stop()
    },
  }
}

const programs = process.env.WINDLASS_TEST_CONTAINERD
const program = (name: string): string => (programs === undefined ? name : join(programs, name))

/** The socket answers a moment before the CRI plugin behind it is ready, and no message says when that is. */
async function initialized(cri: Connection, { signal }: Abortable): Promise<void> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(20_000)])
  for (;;) {
    const refusal = await cri.runtime.version({}, { signal: patience }).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (refusal === undefined) return
    if (!(refusal instanceof RpcError && refusal.message.includes('not initialized'))) throw refusal
    await delay(10, undefined, { signal: patience })
  }
}

const configuration = (dir: string, socket: string, lines: string): string => `version = 2
root = ${JSON.stringify(join(dir, 'root'))}
state = ${JSON.stringify(join(dir, 'state'))}
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
[grpc]
  address = ${JSON.stringify(socket)}
[ttrpc]
  address = ${JSON.stringify(`${socket}.ttrpc`)}
[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = true
  restrict_oom_score_adj = true
  max_concurrent_downloads = 8
${lines}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${JSON.stringify(join(dir, 'cni', 'bin'))}
    conf_dir = ${JSON.stringify(join(dir, 'cni', 'conf'))}
`

/** ctr mounts a read-only view of the image's last snapshot. */
async function mountView(
  ctr: Containerd['ctr'],
  reference: string,
  target: string,
  options: Abortable,
): Promise<AsyncDisposable> {
  await mkdir(target, { recursive: true })
  await ctr(['images', 'mount', reference, target], options)
  return {
    [Symbol.asyncDispose]: async () => {
      // The test's own signal may have aborted: the mount must go all the same.
      await ctr(['images', 'unmount', '--rm', target], { signal: AbortSignal.timeout(20_000) })
    },
  }
}
