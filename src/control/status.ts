/** What clients of the control service are told: each failure under the code gRPC has for it, in the sentence it has everywhere. */
import { describe, type Failure, failureOf } from '../failure/failure.ts'
import { meaningOf } from '../failure/meanings.ts'
import type { RpcStatus } from '../rpc/status.ts'

/** The status of a control call that failed. */
export const statusOf = (failure: Failure): RpcStatus => ({ code: meaningOf(failure).control, message: describe(failure) })

/** There is no pull path just now, and so nothing that it would know. */
export const hasNoStore = (error: unknown): boolean => ['passthrough', 'runtime-down'].includes(failureOf(error).kind)
