/** Which runtime this node has. */
import { existsSync } from 'node:fs'
import { fail } from '../failure/failure.ts'
import { RpcError } from '../rpc/status.ts'
import type { Abortable } from '../task/task.ts'
import { resolved } from './containerd-process.ts'
import type { RuntimeAddress, RuntimeKind } from './runtime.ts'

/** What the configuration says of it; `endpoint` is a path. */
export type Wanted = { readonly kind: RuntimeKind | 'auto' | 'none'; readonly endpoint?: string }

export type Finding = Abortable & {
  /** Our own socket, behind which there must be no runtime: calls would go round for ever. */
  readonly own: string
  /** Where they listen unless told otherwise, the likelier first. */
  readonly usual?: readonly RuntimeAddress[]
}

const USUAL: readonly RuntimeAddress[] = [
  { kind: 'containerd', socket: '/run/containerd/containerd.sock' },
  { kind: 'crio', socket: '/run/crio/crio.sock' },
  { kind: 'crio', socket: '/var/run/crio/crio.sock' },
]
/** How long whoever listens may take to say its name; who cannot say it just now is judged by its path. */
const PATIENCE_MS = 1_000

/**
 * The runtime that is meant; undefined for none. With `auto` it is the one whose socket is there, whether or not it answers just now: a
 * runtime that is being restarted must not turn its node into one without. Throws invalid-argument where that would be us.
 */
export async function findRuntime({ kind, endpoint }: Wanted, finding: Finding): Promise<RuntimeAddress | undefined> {
  if (kind === 'none') return undefined
  const { usual = USUAL } = finding
  if (endpoint !== undefined) {
    if (resolved(endpoint) === resolved(finding.own)) {
      const reason = `${endpoint} is the socket of Windlass itself; name the runtime's`
      fail({ kind: 'invalid-argument', what: 'runtime.endpoint', reason })
    }
    return { kind: kind === 'auto' ? await kindAt(endpoint, finding) : kind, socket: endpoint }
  }
  if (kind !== 'auto') {
    const own = usual.filter((each) => each.kind === kind)
    return own.find(({ socket }) => existsSync(socket)) ?? own[0]
  }
  for (const address of usual) {
    // A containerd without CRI is Docker's own: no kubelet has its images there.
    if (existsSync(address.socket) && (await nameAt(address.socket, finding)) !== 'no CRI') return address
  }
  return undefined
}

async function kindAt(socket: string, finding: Abortable): Promise<RuntimeKind> {
  switch (await nameAt(socket, finding)) {
    case 'cri-o':
      return 'crio'
    case 'containerd':
      return 'containerd'
    default:
      return /crio|cri-o/i.test(socket) ? 'crio' : 'containerd'
  }
}

/** The name with which a runtime answers; undefined where none does. */
async function nameAt(socket: string, { signal }: Abortable): Promise<string | undefined> {
  signal.throwIfAborted()
  const patience = { signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]) }
  // Loads gRPC, which a node without a runtime's socket need not.
  const { connect } = await import('../rpc/client.ts')
  try {
    using runtime = await connect(socket, patience)
    return (await runtime.runtime.version({}, patience)).runtimeName.toLowerCase()
  } catch (error) {
    signal.throwIfAborted()
    return error instanceof RpcError && error.code === 'UNIMPLEMENTED' ? 'no CRI' : undefined
  }
}
