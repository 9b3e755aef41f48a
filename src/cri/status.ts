/**
 * What kubelet is told. It reads the code UNKNOWN and two prefixes (`RegistryUnavailable: `, `SignatureValidationFailed: `) and hands any
 * other code through to the pod's events as it stands, so UNKNOWN is the rule here and the sentence does the work.
 */
import { describe, type Failure, type FailureKind } from '../failure/failure.ts'
import { codeOfCancel, type RpcStatus } from '../rpc/status.ts'

type Saying = { readonly code: RpcStatus['code']; readonly prefix?: string }

const sayings = {
  'invalid-reference': { code: 'INVALID_ARGUMENT' },
  'invalid-argument': { code: 'INVALID_ARGUMENT' },
  'bad-config': { code: 'UNKNOWN' },
  // containerd's code too: it tells "not there" from "could not ask".
  'manifest-unknown': { code: 'NOT_FOUND' },
  'blob-unknown': { code: 'UNKNOWN' },
  'no-platform': { code: 'UNKNOWN' },
  unauthorized: { code: 'UNKNOWN' },
  denied: { code: 'UNKNOWN' },
  'rate-limited': { code: 'UNKNOWN' },
  // cri-api errors.go, ErrRegistryUnavailable: the pod's reason becomes RegistryUnavailable.
  'registry-unavailable': { code: 'UNKNOWN', prefix: 'RegistryUnavailable: ' },
  'digest-mismatch': { code: 'UNKNOWN' },
  'size-mismatch': { code: 'UNKNOWN' },
  unsupported: { code: 'UNKNOWN' },
  malformed: { code: 'UNKNOWN' },
  'bad-layer': { code: 'UNKNOWN' },
  limit: { code: 'UNKNOWN' },
  'no-space': { code: 'UNKNOWN' },
  'image-unknown': { code: 'NOT_FOUND' },
  'not-permitted': { code: 'UNKNOWN' },
  'root-in-use': { code: 'UNKNOWN' },
  passthrough: { code: 'UNKNOWN' },
  'layer-in-use': { code: 'UNKNOWN' },
  damaged: { code: 'UNKNOWN' },
  unhealthy: { code: 'UNKNOWN' },
  'no-daemon': { code: 'UNKNOWN' },
  // What kubelet hears from a runtime that is down.
  'runtime-down': { code: 'UNAVAILABLE' },
  runtime: { code: 'UNKNOWN' },
  system: { code: 'UNKNOWN' },
  internal: { code: 'UNKNOWN' },
} satisfies Record<Exclude<FailureKind, 'cancelled' | 'both-failed'>, Saying>

/** What kubelet knows by name (cri-api errors.go). */
const KNOWN = /^(?:RegistryUnavailable|SignatureValidationFailed)\b/

/** The status of a CRI call that failed. */
export function statusOf(failure: Failure): RpcStatus {
  // Of two failures ours counts, unless only the runtime's has a name for kubelet, which looks at the code and the start of the text.
  const { code, prefix = '' } = sayingOf(failure)
  if (failure.kind === 'both-failed' && prefix === '' && KNOWN.test(failure.said))
    return { code: 'UNKNOWN', message: `${failure.said}; Windlass had tried: ${describe(failure.ours)}` }
  return { code, message: prefix + describe(failure) }
}

function sayingOf(failure: Failure): Saying {
  if (failure.kind === 'cancelled') return { code: codeOfCancel[failure.reason] }
  return failure.kind === 'both-failed' ? sayingOf(failure.ours) : sayings[failure.kind]
}
