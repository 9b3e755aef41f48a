/**
 * Which of our failures a runtime's own pull may survive. The list is closed: what an image, its registry or its user did wrong must not
 * be tried again by somebody less strict.
 */
import type { Failure, FailureKind } from '../failure/failure.ts'
import type { Obstacle } from '../runtime/obstacle.ts'

/** docs/forwarding.md says the same. */
export const isForwardable = {
  // What was asked for cannot be meant, or is not there: the runtime would hear the same.
  'invalid-reference': false,
  'invalid-argument': false,
  'manifest-unknown': false,
  'blob-unknown': false,
  'image-unknown': false,
  'no-platform': false,
  // Login and policy: another way in is no right to go in.
  unauthorized: false,
  denied: false,
  'rate-limited': false,
  // The runtime would ask the same mirrors, which say nothing of this caller.
  'access-unconfirmed': false,
  // The bytes are not what the manifest says, or break a rule that protects the node.
  'digest-mismatch': false,
  'size-mismatch': false,
  malformed: false,
  'bad-layer': false,
  'bad-archive': false,
  limit: false,
  // The same disk.
  'no-space': false,
  // The runtime has tried.
  'both-failed': false,
  // Nobody waits any more.
  cancelled: false,
  // The runtime may have a proxy or mirrors that we do not know of (but see below).
  'registry-unavailable': true,
  // It may have the key of an encrypted layer (but see below).
  unsupported: true,
  // Ours alone: rights, configuration, the way we land images, our own mistakes.
  'not-permitted': true,
  'bad-config': true,
  'root-in-use': true,
  passthrough: true,
  // Its own copy is another.
  'layer-in-use': true,
  damaged: false,
  unhealthy: false,
  unpullable: false,
  'not-here-yet': false,
  'no-daemon': true,
  'socket-denied': true,
  runtime: true,
  // A call waits for it: a runtime that was restarted under our pull can do its own.
  'runtime-down': true,
  system: true,
  internal: true,
} satisfies Record<FailureKind, boolean>

/** Why a pull was handed to the runtime: one of a closed set, fit for a metric's label. */
export type ForwardReason = 'passthrough' | 'not-ready' | 'unreadable' | Obstacle['reason'] | FailureKind

export function mayForward(failure: Failure): boolean {
  if (!isForwardable[failure.kind]) return false
  // A host that answers, however badly, the runtime would ask as well: a registry could choose so who pulls from it.
  if (failure.kind === 'registry-unavailable') return failure.tried.every(({ answered }) => answered !== true)
  // For any other kind of layer an image could choose its way past our limits: by one layer of an odd type.
  if (failure.kind === 'unsupported') return failure.mediaType.includes('+encrypted')
  return true
}
