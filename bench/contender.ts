/** Who is compared: each is started on an empty directory, pulls one image through its CRI socket, and tells what that cost. */
import { join } from 'node:path'
import type { Connection } from '../src/rpc/client.ts'
import type { Abortable } from '../src/task/task.ts'
import { startContainerd } from '../test/integration/containerd.ts'
import { eventually } from '../test/integration/node.ts'
import type { Cost } from '../test/integration/process.ts'
import { startWindlass } from '../test/integration/windlass.ts'

export type Contender = {
  readonly name: 'windlass' | 'containerd'
  /** A daemon that is ready to pull, with nothing in its store; everything it writes is below `dir`. */
  start(dir: string, options: Abortable): Promise<Ready>
}

export type Ready = AsyncDisposable & { readonly cri: Pick<Connection, 'image'>; cost(): Cost }

/** With a store of its own. */
export const windlass: Contender = {
  name: 'windlass',
  start: async (dir, options) => {
    const own = await startWindlass(dir, options)
    return { cri: own.cri, cost: () => own.daemon.cost(), [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() }
  },
}

/** Landing in a containerd, whose part of the work is counted too. */
export const windlassInContainerd: Contender = {
  name: 'windlass',
  start: async (dir, { signal }) => {
    await using started = new AsyncDisposableStack()
    const runtime = started.use(await startContainerd(join(dir, 'containerd'), { signal }))
    const own = started.use(await startWindlass(join(dir, 'windlass'), { signal, runtime }))
    await eventually(async () => (await own.cri.windlass.info({}, { signal })).runtime?.missing === '', { signal })
    const kept = started.move()
    const cost = (): Cost => {
      const [ours, theirs] = [own.daemon.cost(), runtime.daemon.cost()]
      return {
        cpuSeconds: ours.cpuSeconds + theirs.cpuSeconds,
        peakRssBytes: ours.peakRssBytes + theirs.peakRssBytes,
      }
    }
    return { cri: own.cri, cost, [Symbol.asyncDispose]: () => kept.disposeAsync() }
  },
}

export const containerd: Contender = {
  name: 'containerd',
  start: async (dir, options) => {
    const peer = await startContainerd(dir, options)
    return { cri: peer.cri, cost: () => peer.daemon.cost(), [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() }
  },
}
