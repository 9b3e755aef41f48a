/** The daemon's log: pino on stderr, JSON for machines or lines for people. */
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino'
import { printable } from '../cli/text.ts'
import type { Config } from '../config/config.ts'
import { WindlassError } from '../failure/failure.ts'
import { ForeignStatus, RpcError } from '../rpc/status.ts'
import { Repeats, subjectOf } from './repeats.ts'

export type { Logger } from 'pino'

/** pino's number for it. */
const WARN = 40

/** Writes without a worker in between, so that the last line before an exit is there. */
export function createLogger({ format, level }: Config['logging'], to?: DestinationStream): Logger {
  const destination = to ?? pino.destination({ dest: 2, sync: true })
  const err = level === 'debug' || level === 'trace' ? wholeError : (error: unknown) => errorFields(error)
  const settings: LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err },
    formatters: { level: (label) => ({ level: label }) },
    hooks: { logMethod: onceAMinute() },
  }
  return format === 'json' ? pino(settings, destination) : pino(settings, { write: (line) => destination.write(readable(line)) })
}

type LogMethod = NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']>

/** Warnings and errors that repeat themselves would bury the others. */
function onceAMinute(): LogMethod {
  const repeats = new Repeats()
  return function (args, write, level) {
    const [fields, text = ''] = args
    const subject = level < WARN || typeof fields !== 'object' || fields === null ? undefined : subjectOf(level, fields, text)
    const writeLater = (times: number): void => write.call(this, { ...Object(fields), times }, text)
    if (subject === undefined || repeats.admit(subject, writeLater)) write.apply(this, args)
  }
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

/** `12:30:01.123 info  pulled  pull=1a2b3c4d ms=812`. One line, whatever registries and images have said. */
function readable(line: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(line)
  const values = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${printable([msg, ...values].join('  '))}\n`
}
