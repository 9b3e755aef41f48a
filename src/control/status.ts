/** What clients of the control service are told: each failure under the code gRPC has for it, in the sentence it has everywhere. */
import { describe, type Failure, type FailureKind } from '../failure/failure.ts'
import { codeOfCancel, type RpcStatus } from '../rpc/status.ts'

const codes = {
  'invalid-reference': 'INVALID_ARGUMENT',
  'invalid-argument': 'INVALID_ARGUMENT',
  'bad-config': 'FAILED_PRECONDITION',
  'manifest-unknown': 'NOT_FOUND',
  'blob-unknown': 'NOT_FOUND',
  'no-platform': 'FAILED_PRECONDITION',
  unauthorized: 'UNAUTHENTICATED',
  denied: 'PERMISSION_DENIED',
  'rate-limited': 'RESOURCE_EXHAUSTED',
  'registry-unavailable': 'UNAVAILABLE',
  'digest-mismatch': 'DATA_LOSS',
  'size-mismatch': 'DATA_LOSS',
  unsupported: 'FAILED_PRECONDITION',
  malformed: 'FAILED_PRECONDITION',
  'bad-layer': 'FAILED_PRECONDITION',
  limit: 'RESOURCE_EXHAUSTED',
  'no-space': 'RESOURCE_EXHAUSTED',
  'image-unknown': 'NOT_FOUND',
  'not-permitted': 'FAILED_PRECONDITION',
  'root-in-use': 'FAILED_PRECONDITION',
  passthrough: 'FAILED_PRECONDITION',
  'layer-in-use': 'FAILED_PRECONDITION',
  damaged: 'DATA_LOSS',
  unhealthy: 'INTERNAL',
  'no-daemon': 'UNAVAILABLE',
  'runtime-down': 'UNAVAILABLE',
  runtime: 'INTERNAL',
  system: 'INTERNAL',
  internal: 'INTERNAL',
} satisfies Record<Exclude<FailureKind, 'cancelled' | 'both-failed'>, RpcStatus['code']>

/** The status of a control call that failed. */
export const statusOf = (failure: Failure): RpcStatus => ({ code: codeOf(failure), message: describe(failure) })

function codeOf(failure: Failure): RpcStatus['code'] {
  if (failure.kind === 'cancelled') return codeOfCancel[failure.reason]
  return failure.kind === 'both-failed' ? codeOf(failure.ours) : codes[failure.kind]
}
