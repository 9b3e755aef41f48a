/** Who is compared: each is started on an empty directory and pulls one image; what that costs is its processes'. */
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import type { Connection } from '../src/rpc/client.ts'
import type { Abortable } from '../src/task/task.ts'
import { startContainerd } from '../test/integration/containerd.ts'
import { eventually } from '../test/integration/node.ts'
import { privatePodman } from '../test/integration/podman.ts'
import { startWindlass } from '../test/integration/windlass.ts'

export const CONTENDERS = ['windlass', 'landing', 'containerd', 'podman'] as const
export type ContenderName = (typeof CONTENDERS)[number]

export type Contender = {
  /** As people read it. */
  readonly title: string
  /** A daemon that is ready to pull, with nothing in its store; everything it writes is below `dir`. */
  start(dir: string, options: Abortable): Promise<Ready>
}

export type Ready = AsyncDisposable & {
  /** Pulls, and gives the image's id, `sha256:` and its hex digits. */
  pull(reference: string, options: Abortable): Promise<string>
  /** Its daemons; what they have started is theirs. */
  readonly pids: readonly number[]
}

const overCri =
  (cri: Pick<Connection, 'image'>): Ready['pull'] =>
  async (reference, { signal }) =>
    (await cri.image.pullImage({ image: { image: reference } }, { signal })).imageRef

export const contenders: Readonly<Record<ContenderName, Contender>> = {
  windlass: {
    title: 'Windlass',
    start: async (dir, options) => {
      const own = await startWindlass(dir, options)
      return { pull: overCri(own.cri), pids: [own.daemon.pid], [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() }
    },
  },
  // Its images land in a containerd, whose part of the work is counted too.
  landing: {
    title: 'Windlass into containerd',
    start: async (dir, { signal }) => {
      await using started = new AsyncDisposableStack()
      const runtime = started.use(await startContainerd(join(dir, 'containerd'), { signal }))
      const own = started.use(await startWindlass(join(dir, 'windlass'), { signal, runtime }))
      await eventually(async () => (await own.cri.windlass.info({}, { signal })).runtime?.missing === '', { signal })
      const kept = started.move()
      const pids = [own.daemon.pid, runtime.daemon.pid]
      return { pull: overCri(own.cri), pids, [Symbol.asyncDispose]: () => kept.disposeAsync() }
    },
  },
  containerd: {
    title: 'containerd',
    start: async (dir, options) => {
      const peer = await startContainerd(dir, options)
      return {
        pull: overCri(peer.cri),
        pids: [peer.daemon.pid],
        [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
      }
    },
  },
  // As a service, so that no start of a program is in its time, and its children are counted as containerd's are.
  podman: {
    title: 'podman',
    start: async (dir, options) => {
      const podman = privatePodman(dir, undefined, options)
      const socket = join(dir, 'podman.sock')
      const daemon = await podman.service(socket, options)
      return {
        pull: (reference, { signal }) => pullWithPodman(socket, reference, signal),
        pids: [daemon.pid],
        [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
      }
    },
  },
}

const podmanLine = z.object({ id: z.string().optional(), error: z.string().optional() })

/** libpod's API answers in lines of JSON, the last of which has the image's id, or why there is none. */
async function pullWithPodman(socketPath: string, reference: string, signal: AbortSignal): Promise<string> {
  const query = new URLSearchParams({ reference, tlsVerify: 'false' })
  const asked = request({ socketPath, method: 'POST', path: `/v4.0.0/libpod/images/pull?${query}`, signal })
  asked.end()
  const [answer] = await once(asked, 'response')
  const lines = (await text(answer)).trim().split('\n').filter(Boolean)
  const told = lines.map((line) => podmanLine.parse(JSON.parse(line)))
  const error = told.find((line) => line.error !== undefined)?.error
  const id = told.findLast((line) => line.id !== undefined)?.id
  if (error !== undefined || id === undefined) throw new Error(`podman does not pull ${reference}: ${error ?? lines.join(' ')}`)
  return `sha256:${id}`
}
