/** One run of the CLI: what was said for all commands, and the way from there to a backend. */
import { existsSync } from 'node:fs'
import { fail } from '../failure/failure.ts'
import type { Backend } from './backend.ts'
import type { Deps, InForce, Sources } from './deps.ts'
import type { Io } from './io.ts'
import { type Options, textOption } from './options.ts'
import { FORMATS, type Format } from './output.ts'

export type Session = {
  readonly io: Io
  /** Aborts at SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  readonly version: string
  format(): Format
  /**
   * The daemon behind the socket; with `--root`, the pull path in this process, whose root is made if it is not there. Throws no-daemon,
   * root-in-use.
   */
  backend(): Promise<Backend>
  /** The same for commands that only look: a root that is not there is a slip of the pen, and nothing is made. */
  backendWithImages(): Promise<Backend>
  /** The daemon, for what makes no sense without one. */
  daemon(): Promise<Backend>
  /** Throws bad-config, invalid-argument. */
  config(): Promise<{ readonly inForce: InForce; readonly document: Readonly<Record<string, unknown>> }>
  serve(onReady: (socket: string) => void): Promise<void>
}

/** `options` are the global ones, read when a command runs. */
export function openSession<C extends InForce>(deps: Deps<C>, io: Io, signal: AbortSignal, options: () => Options): Session {
  const load = async (): Promise<C> => deps.loadConfig(sourcesOf(options(), io.env))
  const remote = async (): Promise<Backend> => {
    const config = await load()
    const { connectBackend } = await import('./remote.ts')
    return connectBackend(config.socket.path, { signal })
  }
  const embedded = async (existing: boolean): Promise<Backend> => {
    const config = await load()
    if (existing && !existsSync(config.rootDir)) {
      const reason = 'there is no such root; windlass --root DIR pull makes one'
      fail({ kind: 'invalid-argument', what: `--root ${JSON.stringify(config.rootDir)}`, reason })
    }
    for (const warning of config.warnings) warn(io, warning)
    const { embeddedBackend } = await import('./embedded.ts')
    return embeddedBackend(await deps.openEmbedded(config, { signal }))
  }
  return {
    io,
    signal,
    version: deps.version,
    format: () => FORMATS.find((format) => format === options().output) ?? 'table',
    backend: async () => (ownRoot(options(), io.env) ? embedded(false) : remote()),
    backendWithImages: async () => (ownRoot(options(), io.env) ? embedded(true) : remote()),
    daemon: async () => {
      if (textOption(options(), 'root') !== undefined) {
        fail({ kind: 'invalid-argument', what: '--root', reason: 'this command asks a daemon; use --socket' })
      }
      return remote()
    },
    config: async () => {
      const config = await load()
      return { inForce: config, document: await deps.configDocument(config) }
    },
    serve: async (onReady) => {
      const config = await load()
      await deps.serve(config, { signal, onReady: () => onReady(config.socket.path) })
    },
  }
}

/** A warning on stderr. */
export const warn = (io: Io, text: string): void => void io.stderr.write(`windlass: warning: ${text}\n`)

function sourcesOf(options: Options, env: Io['env']): Sources {
  const file = textOption(options, 'config')
  const root = textOption(options, 'root')
  const socket = textOption(options, 'socket')
  const hostsDir = textOption(options, 'hostsDir')
  const flags = {
    ...(root === undefined ? {} : { root }),
    ...(socket === undefined ? {} : { socket }),
    ...(hostsDir === undefined ? {} : { hostsDir }),
  }
  return { env, flags, ...(file === undefined ? {} : { file }) }
}

/** A root of one's own is meant by `--root`, or by WINDLASS_ROOT where nothing names a socket. Flags come before variables. */
function ownRoot(options: Options, env: Io['env']): boolean {
  const root = textOption(options, 'root')
  const socket = textOption(options, 'socket')
  if (root !== undefined && socket !== undefined) {
    const reason = 'give --root to work on a root of your own, or --socket to ask its daemon, not both'
    fail({ kind: 'invalid-argument', what: 'options', reason })
  }
  if (root !== undefined || socket !== undefined) return root !== undefined
  return (env.WINDLASS_ROOT ?? '') !== '' && (env.WINDLASS_SOCKET ?? '') === ''
}
