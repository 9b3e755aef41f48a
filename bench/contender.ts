/** Who is compared: each is started on an empty directory, pulls one image through its CRI socket, and tells what that cost. */
import type { Connection } from '../src/rpc/client.ts'
import type { Abortable } from '../src/task/task.ts'
import { startContainerd } from '../test/integration/containerd.ts'
import type { Daemon } from '../test/integration/process.ts'
import { startWindlass } from '../test/integration/windlass.ts'

export type Contender = {
  readonly name: 'windlass' | 'containerd'
  /** A daemon that is ready to pull, with nothing in its store; everything it writes is below `dir`. */
  start(dir: string, options: Abortable): Promise<Ready>
}

export type Ready = AsyncDisposable & { readonly daemon: Daemon; readonly cri: Connection }

export const windlass: Contender = { name: 'windlass', start: startWindlass }
export const containerd: Contender = { name: 'containerd', start: startContainerd }
