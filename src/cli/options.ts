/** Commander's options, which it types as anything, read as what they are. */
import { readFileSync } from 'node:fs'
import { fail } from '../failure/failure.ts'
import type { Credentials } from '../registry/registry.ts'

export type Options = Readonly<Record<string, unknown>>

/** The value of an option that takes one; undefined where it was not given. */
export function textOption(options: Options, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

/** True if a switch was given. */
export const switchOption = (options: Options, name: string): boolean => options[name] === true

const STDIN = 0

/** Who to log in as: `--creds user:password`, or the same as one line on stdin, where no process list shows it. */
export function credentialsFrom(options: Options): Credentials {
  const typed = textOption(options, 'creds')
  const fromStdin = switchOption(options, 'credsStdin')
  if (typed !== undefined && fromStdin) fail({ kind: 'invalid-argument', what: '--creds-stdin', reason: 'give it or --creds' })
  if (fromStdin) return parseCredentials(readFileSync(STDIN, 'utf8').replace(/\r?\n$/, ''), '--creds-stdin')
  return typed === undefined ? { kind: 'anonymous' } : parseCredentials(typed, '--creds')
}

/** `user:password`; the password may hold colons. The text itself is never shown. */
export function parseCredentials(text: string, what: string): Credentials {
  const colon = text.indexOf(':')
  if (colon < 1) fail({ kind: 'invalid-argument', what, reason: 'want user:password' })
  return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1) }
}
