/** What an error means to whoever ran the command: its kind, its text, its exit code. */
import { describe, type FailureKind, failureOf } from '../failure/failure.ts'
import { RpcError } from '../rpc/status.ts'
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

export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130, terminated: 143 } as const

/** 2 for what was typed wrong, else 1. */
export function exitCodeOf(error: unknown): number {
  const kind = kindOf(error)
  return kind === 'invalid-argument' || kind === 'invalid-reference' ? EXIT.usage : EXIT.failure
}
