/** Runs a program that knows logins: what it is told goes in by stdin, what it says is bounded, and so is its time. */
import { spawn } from 'node:child_process'
import { asWindlassError } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'

export type Told = {
  readonly program: string
  readonly args: readonly string[]
  readonly input: string
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

/** `failed`: it could not be started, took too long or said too much; what it said is not repeated, for it may hold a secret. */
export type Answer =
  | { readonly kind: 'ended'; readonly code: number; readonly output: string }
  | { readonly kind: 'failed'; readonly reason: string }

const MAX_OUTPUT = 1 << 20

/** Throws cancelled; the program and what it started are gone then. */
export async function run({ program, args, input, env, timeoutMs }: Told, { signal }: Abortable): Promise<Answer> {
  if (signal.aborted) throw asWindlassError(signal.reason)
  const { promise, resolve } = Promise.withResolvers<Answer>()
  // A group of its own: helpers are often scripts, and what they wait for must end with them.
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'ignore'], detached: true })
  const end = (reason: string): void => {
    resolve({ kind: 'failed', reason })
    if (child.pid !== undefined) killGroup(child.pid)
  }
  const timer = setTimeout(() => end(`it did not answer within ${timeoutMs / 1000} s`), timeoutMs)
  const onAbort = (): void => end('nobody waits any more')
  signal.addEventListener('abort', onAbort, { once: true })
  const output: Buffer[] = []
  let length = 0
  child.stdout.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > MAX_OUTPUT) end(`it said more than ${MAX_OUTPUT} bytes`)
    else output.push(chunk)
  })
  // It may answer without having read what it was told.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  child.once('error', (error: NodeJS.ErrnoException) =>
    end(error.code === 'ENOENT' ? 'there is no such program' : `it cannot be started (${error.code})`),
  )
  child.once('close', (code, by) =>
    resolve(
      by === null
        ? { kind: 'ended', code: code ?? 1, output: Buffer.concat(output).toString('utf8') }
        : { kind: 'failed', reason: `it was ended by ${by}` },
    ),
  )
  try {
    const answer = await promise
    if (signal.aborted) throw asWindlassError(signal.reason)
    return answer
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    // What has left the group may hold the other ends for as long as it likes.
    child.stdout.destroy()
    child.stdin.destroy()
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** What a helper may need to find its own secrets and its way: nothing that we were given for ourselves. */
const PASSED_ON = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'TZ',
  'TMPDIR',
  'DOCKER_CONFIG',
  'XDG_RUNTIME_DIR',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'DBUS_SESSION_BUS_ADDRESS',
  'DISPLAY',
  'GNUPGHOME',
  'PASSWORD_STORE_DIR',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NO_PROXY',
  'no_proxy',
])
const PASSED_ON_BY_START = /^(?:AWS|AZURE|GOOGLE|CLOUDSDK|ECR)_/
const PROXIES = /^https?_proxy$/i

type Environment = Readonly<Record<string, string | undefined>>

/** A proxy goes along where its address holds no login. */
export function passedOn(env: Environment): Readonly<Record<string, string>> {
  const entries = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  return Object.fromEntries(
    entries.filter(
      ([name, value]) => PASSED_ON.has(name) || PASSED_ON_BY_START.test(name) || (PROXIES.test(name) && !value.includes('@')),
    ),
  )
}
