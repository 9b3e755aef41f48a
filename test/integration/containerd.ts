/** Debian's containerd with its CRI plugin, on directories of its own: what our trees and times are compared with. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Connection, connect } from '../../src/rpc/client.ts'
import { RpcError } from '../../src/rpc/status.ts'
import type { Abortable } from '../../src/task/task.ts'
import { type Daemon, run, start } from './process.ts'

export interface Containerd extends AsyncDisposable {
  readonly socket: string
  readonly daemon: Daemon
  /** Its CRI services; registries on loopback are tried over plain HTTP by default. */
  readonly cri: Connection
  /** Mounts the merged tree of an image it has, read-only, until the scope ends. */
  mount(reference: string, target: string, options: Abortable): Promise<AsyncDisposable>
}

/** Starts containerd with everything below `dir`, which must support overlay's upper directories. Downloads run eight at a time. */
export async function startContainerd(dir: string, { signal }: Abortable): Promise<Containerd> {
  await mkdir(dir, { recursive: true })
  const socket = join(dir, 'containerd.sock')
  const config = join(dir, 'config.toml')
  await writeFile(config, configuration(dir, socket))
  const daemon = start('containerd', ['--config', config])
  try {
    await daemon.line(/containerd successfully booted/, { signal })
    const cri = await connect(socket, { signal })
    await initialized(cri, { signal })
    return {
      socket,
      daemon,
      cri,
      mount: (reference, target, options) => mountView(socket, reference, target, options),
      [Symbol.asyncDispose]: async () => {
        cri[Symbol.dispose]()
        await daemon.stop()
      },
    }
  } catch (error) {
    await daemon.stop()
    throw error
  }
}

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

const configuration = (dir: string, socket: string): string => `version = 2
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
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${JSON.stringify(join(dir, 'cni', 'bin'))}
    conf_dir = ${JSON.stringify(join(dir, 'cni', 'conf'))}
`

/** ctr mounts a read-only view of the image's last snapshot. */
async function mountView(socket: string, reference: string, target: string, options: Abortable): Promise<AsyncDisposable> {
  const ctr = (args: readonly string[], { signal }: Abortable) =>
    run('ctr', ['--address', socket, '--namespace', 'k8s.io', ...args], { signal })
  await mkdir(target, { recursive: true })
  await ctr(['images', 'mount', reference, target], options)
  return {
    [Symbol.asyncDispose]: async () => {
      // The test's own signal may have aborted: the mount must go all the same.
      await ctr(['images', 'unmount', '--rm', target], { signal: AbortSignal.timeout(20_000) })
    },
  }
}
