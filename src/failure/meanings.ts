/**
 * What each kind of failure is to those who asked: the code and prefix that kubelet hears, the code of windlass.v1, the exit code of the
 * command line. docs/errors.md shows all of it (`npm run errors`).
 *
 * kubelet reads the code UNKNOWN and two prefixes (`RegistryUnavailable: `, `SignatureValidationFailed: `) and hands any other code through
 * to the pod's events as it stands, so UNKNOWN is the rule there and the sentence does the work.
 */
import type { Failure, FailureKind } from './failure.ts'

/** gRPC's names (grpc/doc/statuscodes.md), those that are used. */
export type Code =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED'

export type Meaning = {
  readonly cri: Code
  /** What the text for kubelet starts with (cri-api errors.go). */
  readonly prefix?: 'RegistryUnavailable: '
  readonly control: Code
  /** 2 for what was typed wrong, on the command line or in a file. */
  readonly exit: 1 | 2
}

const slip = { cri: 'INVALID_ARGUMENT', control: 'INVALID_ARGUMENT', exit: 2 } as const
const failing = (control: Code): Meaning => ({ cri: 'UNKNOWN', control, exit: 1 })

const meanings = {
  'invalid-reference': slip,
  'invalid-argument': slip,
  'bad-config': { cri: 'UNKNOWN', control: 'FAILED_PRECONDITION', exit: 2 },
  // containerd's code too: it tells "not there" from "could not ask".
  'manifest-unknown': { cri: 'NOT_FOUND', control: 'NOT_FOUND', exit: 1 },
  'blob-unknown': failing('NOT_FOUND'),
  'no-platform': failing('FAILED_PRECONDITION'),
  unauthorized: failing('UNAUTHENTICATED'),
  denied: failing('PERMISSION_DENIED'),
  'rate-limited': failing('RESOURCE_EXHAUSTED'),
  // ErrRegistryUnavailable: the pod's reason becomes RegistryUnavailable.
  'registry-unavailable': { ...failing('UNAVAILABLE'), prefix: 'RegistryUnavailable: ' },
  'access-unconfirmed': { ...failing('UNAVAILABLE'), prefix: 'RegistryUnavailable: ' },
  'digest-mismatch': failing('DATA_LOSS'),
  'size-mismatch': failing('DATA_LOSS'),
  unsupported: failing('FAILED_PRECONDITION'),
  malformed: failing('FAILED_PRECONDITION'),
  'bad-layer': failing('FAILED_PRECONDITION'),
  'bad-archive': failing('FAILED_PRECONDITION'),
  limit: failing('RESOURCE_EXHAUSTED'),
  'no-space': failing('RESOURCE_EXHAUSTED'),
  'image-unknown': { cri: 'NOT_FOUND', control: 'NOT_FOUND', exit: 1 },
  'not-permitted': failing('FAILED_PRECONDITION'),
  'root-in-use': failing('FAILED_PRECONDITION'),
  passthrough: failing('FAILED_PRECONDITION'),
  'layer-in-use': failing('FAILED_PRECONDITION'),
  damaged: failing('DATA_LOSS'),
  unhealthy: failing('INTERNAL'),
  unpullable: failing('FAILED_PRECONDITION'),
  'not-here-yet': failing('DEADLINE_EXCEEDED'),
  'no-daemon': failing('UNAVAILABLE'),
  'socket-denied': failing('PERMISSION_DENIED'),
  // What kubelet hears from a runtime that is down.
  'runtime-down': { cri: 'UNAVAILABLE', control: 'UNAVAILABLE', exit: 1 },
  runtime: failing('INTERNAL'),
  system: failing('INTERNAL'),
  internal: failing('INTERNAL'),
} satisfies Record<Exclude<FailureKind, 'cancelled' | 'both-failed'>, Meaning>

const codeOfCancel = {
  cancelled: 'CANCELLED',
  deadline: 'DEADLINE_EXCEEDED',
  // gRPC's word for: ask again, here or elsewhere.
  shutdown: 'UNAVAILABLE',
} as const satisfies Record<Extract<Failure, { kind: 'cancelled' }>['reason'], Code>

export function meaningOf(failure: Failure): Meaning {
  if (failure.kind === 'cancelled') {
    const code = codeOfCancel[failure.reason]
    return { cri: code, control: code, exit: 1 }
  }
  // Of two failures ours counts: it is the one that somebody can mend here.
  return failure.kind === 'both-failed' ? meaningOf(failure.ours) : meanings[failure.kind]
}

/** The exit code for a kind; a daemon may be of another version and know others. */
export function exitCodeOfKind(kind: string | undefined): Meaning['exit'] {
  return Object.entries(meanings).find(([known]) => known === kind)?.[1].exit ?? 1
}
