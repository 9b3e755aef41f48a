/** Which runtime this node has. */
import { existsSync } from 'node:fs'
import type { RuntimeAddress, RuntimeKind } from './runtime.ts'

/** What the configuration says of it; `endpoint` is a path. */
export type Wanted = { readonly kind: RuntimeKind | 'auto' | 'none'; readonly endpoint?: string }

/** Where they listen unless told otherwise, the likelier first. */
const USUAL: readonly RuntimeAddress[] = [
  { kind: 'containerd', socket: '/run/containerd/containerd.sock' },
  { kind: 'crio', socket: '/run/crio/crio.sock' },
  { kind: 'crio', socket: '/var/run/crio/crio.sock' },
]

/**
 * The runtime that is meant; undefined for none. With `auto` it is the one whose socket is there, whether or not it answers just now: a
 * runtime that is being restarted must not turn its node into one without.
 */
export function findRuntime(
  { kind, endpoint }: Wanted,
  exists: (path: string) => boolean = existsSync,
): RuntimeAddress | undefined {
  if (kind === 'none') return undefined
  if (kind === 'auto') {
    if (endpoint !== undefined) return { kind: /crio/i.test(endpoint) ? 'crio' : 'containerd', socket: endpoint }
    return USUAL.find(({ socket }) => exists(socket))
  }
  if (endpoint !== undefined) return { kind, socket: endpoint }
  const usual = USUAL.filter((each) => each.kind === kind)
  return usual.find(({ socket }) => exists(socket)) ?? usual[0]
}
