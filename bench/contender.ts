/** Who is compared: each is started on an empty directory, pulls one image through its CRI socket, and tells what that cost. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { failureOf } from '../src/failure/failure.ts'
import { type Connection, connect } from '../src/rpc/client.ts'
import type { Abortable } from '../src/task/task.ts'
import { startContainerd } from '../test/integration/containerd.ts'
import { type Daemon, start } from '../test/integration/process.ts'

export type Contender = {
  readonly name: 'windlass' | 'containerd'
  /** A daemon that is ready to pull, with nothing in its store; everything it writes is below `dir`. */
  start(dir: string, options: Abortable): Promise<Ready>
}

export type Ready = AsyncDisposable & { readonly daemon: Daemon; readonly cri: Connection }

export const containerd: Contender = { name: 'containerd', start: startContainerd }

export const windlass: Contender = {
  name: 'windlass',
  start: async (dir, { signal }) => {
    const [root, hosts, socket] = [join(dir, 'root'), join(dir, 'hosts'), join(dir, 'windlass.sock')]
    await mkdir(hosts, { recursive: true })
    const main = join(import.meta.dirname, '..', 'src', 'main.ts')
    const daemon = start(process.execPath, [main, 'serve', '--root', root, '--socket', socket, '--hosts-dir', hosts])
    try {
      const cri = await answering(socket, daemon, { signal })
      return {
        daemon,
        cri,
        [Symbol.asyncDispose]: async () => {
          cri[Symbol.dispose]()
          await daemon.stop()
        },
      }
    } catch (error) {
      await daemon.stop()
      throw error
    }
  },
}

/** Connects as soon as the daemon listens: kubelet, too, has nothing but the socket to go by. */
async function answering(socket: string, daemon: Daemon, { signal }: Abortable): Promise<Connection> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(20_000)])
  for (;;) {
    try {
      return await connect(socket, { signal: patience })
    } catch (error) {
      if (failureOf(error).kind !== 'no-daemon') throw new Error(`windlass is not ready:\n${daemon.output()}`, { cause: error })
      await delay(25, undefined, { signal: patience })
    }
  }
}
