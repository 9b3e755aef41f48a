/** What an error means to whoever ran the command: its kind, its text, its exit code. */
import { describe, type Failure, type FailureKind, failureOf } from '../failure/failure.ts'
import { exitCodeOfKind } from '../failure/meanings.ts'
import { RpcError } from '../rpc/status.ts'
import type { StopSignal } from './io.ts'
import { printable } from './text.ts'

/** The kind of failure, ours or the daemon's; undefined for a daemon that did not say. */
export function kindOf(error: unknown): FailureKind | string | undefined {
  return error instanceof RpcError ? error.kind : failureOf(error).kind
}

/** One line, safe to print: parts of it come from registries. */
export function textOf(error: unknown): string {
  if (!(error instanceof RpcError)) return printable(describe(failureOf(error)))
  const lost = error.kind === undefined && error.code === 'UNAVAILABLE'
  return printable(lost ? `the daemon went away: ${error.message}` : error.message)
}

/** The same in as many lines as it has reasons: a configuration is told all that is wrong with it. */
export function linesOf(error: unknown): readonly string[] {
  const failure = error instanceof RpcError ? undefined : failureOf(error)
  if (failure?.kind !== 'bad-config') return [textOf(error)]
  const { more = [], ...first } = failure
  const rest = more.map((problem): Failure => ({ kind: 'bad-config', file: first.file, ...problem }))
  return [first, ...rest].map((each) => printable(describe(each)))
}

/** A command that a signal has stopped, and what became of what it had begun. */
export class Interrupted extends Error {}

export const EXIT = { ok: 0, usage: 2 } as const

/** 128 and the signal's number, as shells have it. */
export const EXIT_AFTER = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const satisfies Record<StopSignal, number>

/** 2 for what was typed wrong, on the command line or in a file, else 1. */
export const exitCodeOf = (error: unknown): number => exitCodeOfKind(kindOf(error))
