/** Commander's options, which it types as anything, read as what they are. */
import type { Readable } from 'node:stream'
import { InvalidArgumentError, Option } from 'commander'
import { fail } from '../failure/failure.ts'
import { parseReference } from '../reference/parse.ts'
import type { Credentials } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'
import { parseDuration } from '../units/units.ts'
import type { Io } from './io.ts'

export type Options = Readonly<Record<string, unknown>>

/** The value of an option that takes one; undefined where it was not given. */
export function textOption(options: Options, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

/** The values of an option that may be given more than once. */
export function textsOption(options: Options, name: string): readonly string[] {
  const value = options[name]
  return Array.isArray(value) ? value.map(String) : []
}

/** For commander: an option that may be given more than once. */
export const addText = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

/** True if a switch was given. */
export const switchOption = (options: Options, name: string): boolean => options[name] === true

/** What `durationOption` and the like have made of an option. */
export function numberOption(options: Options, name: string): number | undefined {
  const value = options[name]
  return typeof value === 'number' ? value : undefined
}

/** A duration in milliseconds, for commander. */
export function durationOption(text: string): number {
  const value = parseDuration(text)
  if (value === undefined || value === 0) throw new InvalidArgumentError('want a duration such as 72h or 30m')
  return value
}

export const runtimeOption = (): Option =>
  new Option('--runtime <kind>', 'whose images these are to be: auto, containerd, crio or none [WINDLASS_RUNTIME]')
export const runtimeEndpointOption = (): Option =>
  new Option('--runtime-endpoint <path>', 'the socket of that runtime [WINDLASS_RUNTIME_ENDPOINT]')

/** Both, as typed. */
export function runtimeFlags(options: Options): { readonly runtime?: string; readonly runtimeEndpoint?: string } {
  const [runtime, runtimeEndpoint] = [textOption(options, 'runtime'), textOption(options, 'runtimeEndpoint')]
  return { ...(runtime === undefined ? {} : { runtime }), ...(runtimeEndpoint === undefined ? {} : { runtimeEndpoint }) }
}

const MAX_CREDENTIALS = 65_536

/**
 * Who to log in as at the registry of `reference`: `--creds user:password`, the same as one line on stdin, where no process list shows it,
 * or what the caller's own files have (`--authfile`, else where podman and docker keep them). `warn` hears what is wrong with those.
 */
export async function loginFrom(
  options: Options,
  { stdin, env }: Pick<Io, 'stdin' | 'env'>,
  reference: string,
  { signal, warn }: Abortable & { readonly warn: (text: string) => void },
): Promise<Credentials> {
  const file = textOption(options, 'authfile')
  const said = await credentialsFrom(options, stdin)
  if (said.kind !== 'anonymous') {
    if (file === undefined) return said
    return fail({ kind: 'invalid-argument', what: '--authfile', reason: 'give it or --creds, not both' })
  }
  const { registry, repository } = parseReference(reference)
  const [{ createKeyring }, { usualSources }] = await Promise.all([
    import('../credentials/credentials.ts'),
    import('../credentials/usual.ts'),
  ])
  const keyring = createKeyring(usualSources(file, env, process.getuid?.() ?? 0))
  const { logins, problems } = await keyring.candidates({ registry, repository }, { signal })
  for (const problem of problems) {
    if (file !== undefined) fail({ kind: 'invalid-argument', what: '--authfile', reason: problem })
    warn(problem)
  }
  return logins[0] ?? said
}

/** What was typed, or comes on stdin. */
export async function credentialsFrom(options: Options, stdin: Readable): Promise<Credentials> {
  const typed = textOption(options, 'creds')
  if (!switchOption(options, 'credsStdin'))
    return typed === undefined ? { kind: 'anonymous' } : parseCredentials(typed, '--creds')
  if (typed !== undefined) fail({ kind: 'invalid-argument', what: '--creds-stdin', reason: 'give it or --creds, not both' })
  return parseCredentials(await firstLine(stdin), '--creds-stdin')
}

async function firstLine(stdin: Readable): Promise<string> {
  let text = ''
  for await (const chunk of stdin.setEncoding('utf8')) {
    text += chunk
    if (text.includes('\n') || text.length > MAX_CREDENTIALS) break
  }
  return text.split(/\r?\n/, 1)[0] ?? ''
}

/** `user:password`; the password may hold colons. The text itself is never shown. */
function parseCredentials(text: string, what: string): Credentials {
  const colon = text.indexOf(':')
  if (colon < 1) fail({ kind: 'invalid-argument', what, reason: 'want user:password' })
  return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1) }
}
