/** The daemon as it runs on a node, a process of its own, on directories of the test's. */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { failureOf } from '../../src/failure/failure.ts'
import { type Connection, connect } from '../../src/rpc/client.ts'
import { mountOverlay, unmount } from '../../src/sys/mount.ts'
import type { Abortable } from '../../src/task/task.ts'
import { type Daemon, start } from './process.ts'

/** What Node is told wherever the daemon is started; test/deploy holds them together. */
export const nodeFlags = ['--max-semi-space-size=1'] as const
export const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts')

export interface Windlass extends AsyncDisposable {
  readonly root: string
  readonly socket: string
  readonly daemon: Daemon
  /** The CRI services and the control service. */
  readonly cri: Connection
  /** Mounts the merged tree of an image it has, read-only, until the scope ends. */
  mount(reference: string, target: string, options: Abortable): Promise<AsyncDisposable>
}

/**
 * Starts a daemon with everything below `dir`. It reads no hosts.toml but what the caller puts into `dir/hosts`. Its images are its own,
 * unless `runtime` names whose they are.
 */
export async function startWindlass(dir: string, { signal, ...how }: Abortable & Launch): Promise<Windlass> {
  const { root, socket, daemon } = await launchWindlass(dir, how)
  try {
    const cri = await answering(socket, daemon, { signal })
    return {
      root,
      socket,
      daemon,
      cri,
      mount: (reference, target, options) => mountImage(cri, reference, target, options),
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

/** How it is started. */
export type Launch = {
  /** A program, with its arguments, that starts the daemon. */
  readonly wrapper?: readonly string[]
  readonly runtime?: { readonly kind: string; readonly socket: string }
  readonly env?: Readonly<Record<string, string>>
  /** It goes by the hosts.toml files, and whatever else, that its runtime goes by. */
  readonly runtimesHosts?: boolean
}

/** The same without waiting until it answers. */
export async function launchWindlass(
  dir: string,
  { runtime, env, wrapper = [], runtimesHosts = false }: Launch,
): Promise<{ readonly root: string; readonly socket: string; readonly daemon: Daemon }> {
  const [root, hosts, socket] = [join(dir, 'root'), join(dir, 'hosts'), join(dir, 'windlass.sock')]
  await mkdir(hosts, { recursive: true })
  const beside = runtime === undefined ? [] : ['--runtime', runtime.kind, '--runtime-endpoint', runtime.socket]
  const hostsDir = runtimesHosts ? [] : ['--hosts-dir', hosts]
  const args = [...nodeFlags, main, 'serve', '--root', root, '--socket', socket, ...hostsDir, ...beside]
  const [program = process.execPath, ...before] = [...wrapper, process.execPath]
  return { root, socket, daemon: start(program, [...before, ...args], env) }
}

/** Connects as soon as the daemon listens: kubelet, too, has nothing but the socket to go by. */
async function answering(socket: string, daemon: Daemon, { signal }: Abortable): Promise<Connection> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(20_000)])
  for (;;) {
    try {
      return await connect(socket, { signal: patience })
    } catch (error) {
      const ended = !existsSync(`/proc/${daemon.pid}`)
      if (failureOf(error).kind !== 'no-daemon' || ended || patience.aborted)
        throw new Error(`windlass is not ready:\n${daemon.output()}`, { cause: error })
      await delay(25, undefined, { signal: patience }).catch(() => {})
    }
  }
}

async function mountImage(cri: Connection, reference: string, target: string, options: Abortable): Promise<AsyncDisposable> {
  const image = await cri.windlass.inspectImage({ image: reference }, options)
  await mkdir(target, { recursive: true })
  const lower = image.layers.map((layer) => layer.short).toReversed()
  mountOverlay({ target, base: image.overlayDir, lower })
  return { [Symbol.asyncDispose]: async () => unmount(target) }
}
