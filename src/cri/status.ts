/** What kubelet is told; failure/meanings.ts says under which code. */
import { describe, type Failure } from '../failure/failure.ts'
import { meaningOf } from '../failure/meanings.ts'
import type { RpcStatus } from '../rpc/status.ts'

/** What kubelet knows by name (cri-api errors.go). */
const KNOWN = /^(?:RegistryUnavailable|SignatureValidationFailed)\b/

/** The status of a CRI call that failed. */
export function statusOf(failure: Failure): RpcStatus {
  const { cri: code, prefix = '' } = meaningOf(failure)
  // Of two failures ours counts, unless only the runtime's has a name for kubelet, which looks at the code and the start of the text.
  if (failure.kind === 'both-failed' && prefix === '' && KNOWN.test(failure.said))
    return { code: 'UNKNOWN', message: `${failure.said}; Windlass had tried: ${describe(failure.ours)}` }
  return { code, message: prefix + describe(failure) }
}
