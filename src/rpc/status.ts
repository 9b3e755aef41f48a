/** Outcomes of a call, by the names gRPC gives them. Nothing here loads gRPC itself. */
import type { ServiceError } from '@grpc/grpc-js'
import type { Failure } from '../failure/failure.ts'

/** The status names of gRPC (grpc/doc/statuscodes.md), at their numbers. */
export const statusNames = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

export type StatusName = (typeof statusNames)[number]

/** How a call ends when it does not end well. `message` is one line. */
export type RpcStatus = { readonly code: Exclude<StatusName, 'OK'>; readonly message: string }

/** A service's way of saying a failure. */
export type StatusOf = (failure: Failure) => RpcStatus

/**
 * A call that ended with a status. `message` is the daemon's sentence, as it came; `kind` is the kind of `Failure` behind it where the
 * daemon told, which Windlass does.
 */
export class RpcError extends Error {
  readonly code: Exclude<StatusName, 'OK'>
  readonly kind: string | undefined

  constructor(code: Exclude<StatusName, 'OK'>, message: string, kind: string | undefined, cause: unknown) {
    super(message, { cause })
    this.name = 'RpcError'
    this.code = code
    this.kind = kind
  }
}

/** The end of a call that another daemon answered for us: handed on as it came. */
export class ForeignStatus extends Error {
  readonly code: Exclude<StatusName, 'OK'>
  readonly status: Pick<ServiceError, 'code' | 'details' | 'metadata'>

  constructor({ code, details, metadata }: Pick<ServiceError, 'code' | 'details' | 'metadata'>, cause?: unknown) {
    super(details, { cause })
    this.name = 'ForeignStatus'
    this.code = nameOf(code)
    this.status = { code, details, metadata }
  }
}

/** gRPC's name for a status number; what has none is unknown. */
export function nameOf(code: number): Exclude<StatusName, 'OK'> {
  const name = statusNames[code]
  return name === undefined || name === 'OK' ? 'UNKNOWN' : name
}

/** The trailer that carries a failure's kind beside the status. */
export const kindTrailer = 'windlass-failure'
