/** `prove` put together: the containerd that this node has, and our pull path into a namespace of it. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { fail } from '../failure/failure.ts'
import { Ctr } from '../prove/ctr.ts'
import { type Opener, type Proof, type ProveAsk, type ProveOptions, prove } from '../prove/prove.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import { connect } from '../rpc/client.ts'
import { pidOf } from '../runtime/containerd-process.ts'
import { findRuntime } from '../runtime/find.ts'
import { inspectRuntime } from '../runtime/inspect.ts'
import { createLogger } from './log.ts'
import { openNode, type PullFor } from './node.ts'

/** How long containerd may take to describe itself. */
const PATIENCE_MS = 10_000

/** Throws invalid-argument where there is no containerd, or the reference is none. */
export async function proveHere(config: Config, version: string, ask: ProveAsk, options: ProveOptions): Promise<Proof> {
  const { signal } = options
  const reference = parseReference(ask.reference)
  const address = await findRuntime(config.runtime, { own: config.socket.path, signal })
  if (address?.kind !== 'containerd') {
    const reason = 'it compares with the containerd of this node, and none is seen; name its socket with --runtime-endpoint'
    return fail({ kind: 'invalid-argument', what: 'prove', reason })
  }
  using cri = await connect(address.socket, { signal, runtime: 'containerd' })
  const facts = await inspectRuntime(address, cri, { signal, deadline: new Date(Date.now() + PATIENCE_MS) })
  const runtime: PullFor = { address, facts }
  const open: Opener = async (namespace, { signal: opening }) => {
    await using opened = new AsyncDisposableStack()
    const root = opened.use(await mkdtempDisposable(join(tmpdir(), 'windlass-prove-root-')))
    // As a daemon is by default, whatever this node's keeps; and on a root that goes with the namespace.
    const scratch = { ...config, rootDir: root.path, keepBlobs: false, keepPartials: false, pins: [] }
    const log = createLogger({ format: 'text', level: 'error' })
    const node = opened.use(
      await openNode({ config: scratch, version, log }, { signal: opening, mustPull: true, runtime, namespace }),
    )
    const kept = opened.move()
    return {
      pull: async (pulling) =>
        (await node.puller.pull({ reference, credentials: { kind: 'anonymous' }, client: 'cli' }, pulling)).plan,
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    }
  }
  return await prove(
    {
      open,
      ctr: new Ctr(address.socket, facts.hostsDir),
      socket: address.socket,
      version: facts.version,
      pid: pidOf(address.socket),
      blobsDir:
        facts.rootDir === undefined ? undefined : join(facts.rootDir, 'io.containerd.content.v1.content', 'blobs', 'sha256'),
    },
    { ...ask, reference: formatReference(reference) },
    options,
  )
}
