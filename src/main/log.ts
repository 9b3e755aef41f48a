/** The daemon's log: pino on stderr, JSON for machines or lines for people. */
import { type Logger, pino } from 'pino'
import type { Config } from '../config/config.ts'
import { WindlassError } from '../failure/failure.ts'
import { ForeignStatus, RpcError } from '../rpc/status.ts'

export type { Logger } from 'pino'

/** Writes without a worker in between, so that the last line before an exit is there. */
export function createLogger({ format, level }: Config['logging']): Logger {
  const destination = pino.destination({ dest: 2, sync: true })
  const err = level === 'debug' || level === 'trace' ? wholeError : (error: unknown) => errorFields(error)
  const settings = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err },
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return format === 'json' ? pino(settings, destination) : pino(settings, { write: (line) => destination.write(readable(line)) })
}

/** Everything there is, for who looks for a mistake of ours. */
function wholeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error)
  const { message, stack, cause } = error
  return { message, ...(cause === undefined ? {} : { cause: wholeError(cause) }), stack }
}

/**
 * An error as far as a log needs it: the text and what caused it. Stacks are for what is our own mistake: not for what the system
 * refused, nor below a failure that says what happened.
 */
export function errorFields(error: unknown, isTold = false): unknown {
  if (!(error instanceof Error)) return String(error)
  // What another daemon answered; gRPC's own account of it says the same at length.
  if (error instanceof RpcError || error instanceof ForeignStatus) return { message: error.message, code: error.code }
  const isKnown = isTold || (error instanceof WindlassError ? error.failure.kind !== 'internal' : 'errno' in error)
  return {
    message: error.message,
    ...(error.cause instanceof Error ? { cause: errorFields(error.cause, isKnown) } : {}),
    ...(isKnown ? {} : { stack: error.stack }),
  }
}

/** `12:30:01.123 info  pulled  pull=1a2b3c4d ms=812`. */
function readable(line: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(line)
  const values = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${[msg, ...values].join('  ')}\n`
}
