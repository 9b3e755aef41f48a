/** One run of the CLI: what was said for all commands, and the way from there to a backend. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Finding } from '../doctor/finding.ts'
import { asWindlassError, fail, failureOf, WindlassError } from '../failure/failure.ts'
import type { ImageList } from '../prepull/prepull.ts'
import type { Proof, ProveAsk, ProveOptions } from '../prove/prove.ts'
import type { Backend } from './backend.ts'
import type { CheckAsk, Checker, Deps, InForce, Sources } from './deps.ts'
import { linesOf } from './failures.ts'
import type { Io } from './io.ts'
import { type Options, textOption } from './options.ts'
import { FORMATS, type Format } from './output.ts'
import { printable } from './text.ts'

export type RuntimeFlags = Pick<Sources['flags'], 'runtime' | 'runtimeEndpoint'>

export type Session = {
  readonly io: Io
  /** Aborts at the first stop signal. */
  readonly signal: AbortSignal
  readonly version: string
  format(): Format
  /** True where no daemon is meant. Throws invalid-argument where both are. */
  ownRoot(): boolean
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
  /** The image lists of a file. Throws bad-config. */
  readLists(file: string): readonly ImageList[]
  /** Looks at images where lists say they are, with this configuration's registries. `onProblem` hears why a login could not be looked for. */
  checker(ask: CheckAsk, onProblem: (problem: string) => void): Promise<Checker>
  /** Looks this node over. `runtime` are flags as typed. */
  examine(runtime: RuntimeFlags): Promise<readonly Finding[]>
  /** `runtime` are flags as typed. */
  prove(runtime: RuntimeFlags, ask: ProveAsk, onProgress: NonNullable<ProveOptions['onProgress']>): Promise<Proof>
  /** `runtime` are flags as typed. */
  serve(runtime: RuntimeFlags, onReady: (socket: string) => void): Promise<void>
}

/** How signals reach this run: `signal` aborts at the first that stops it, `onReload` gives SIGHUP something else to do. */
export type Stopping = { readonly signal: AbortSignal; readonly onReload: (reload: () => void) => void }

/** `options` are the global ones, read when a command runs. */
export function openSession<C extends InForce>(deps: Deps<C>, io: Io, stop: Stopping, options: () => Options): Session {
  const { signal, onReload } = stop
  const load = async (runtime: RuntimeFlags = {}): Promise<C> => deps.loadConfig(sourcesOf(options(), io.env, runtime))
  /** A socket is all that a client needs, and what else is wrong with a file is the daemon's to say. */
  const loadForClient = async (): Promise<C> => {
    try {
      return await load()
    } catch (error) {
      if (failureOf(error).kind !== 'bad-config') throw error
      for (const line of linesOf(error)) warn(io, line)
      return deps.salvageConfig(sourcesOf(options(), io.env, {}))
    }
  }
  const remote = async (): Promise<Backend> => {
    if (textOption(options(), 'hostsDir') !== undefined) {
      const reason = 'the daemon reads its own; give it to windlass serve, or work without a daemon with --root'
      fail({ kind: 'invalid-argument', what: '--hosts-dir', reason })
    }
    const { connectBackend } = await import('./remote.ts')
    return connectBackend((await loadForClient()).socket.path, { signal })
  }
  const loadForRoot = async (existing: boolean, runtime?: RuntimeFlags): Promise<C> => {
    checkHostsDir(textOption(options(), 'hostsDir'))
    const config = await load(runtime)
    checkRoot(config.rootDir, existing)
    return config
  }
  const ownRoot = (): boolean => meansOwnRoot(options(), io.env)
  const embedded = async (existing: boolean): Promise<Backend> => {
    const config = await loadForRoot(existing)
    for (const warning of config.warnings) warn(io, warning)
    const { embeddedBackend } = await import('./embedded.ts')
    return embeddedBackend(await deps.openEmbedded(config, { signal }))
  }
  return {
    io,
    signal,
    version: deps.version,
    format: () => FORMATS.find((format) => format === options().output) ?? 'table',
    ownRoot,
    backend: async () => (ownRoot() ? embedded(false) : remote()),
    backendWithImages: async () => (ownRoot() ? embedded(true) : remote()),
    daemon: async () => {
      if (ownRoot()) {
        const what = textOption(options(), 'root') === undefined ? 'WINDLASS_ROOT' : '--root'
        fail({ kind: 'invalid-argument', what, reason: 'this command asks a daemon; use --socket' })
      }
      return remote()
    },
    config: async () => {
      const config = await load()
      return { inForce: config, document: await deps.configDocument(config) }
    },
    readLists: deps.readLists,
    checker: async (ask, onProblem) => {
      checkHostsDir(textOption(options(), 'hostsDir'))
      return await deps.openChecker(await load(), ask, onProblem)
    },
    examine: async (runtime) => {
      const config = await load(runtime).catch((error: unknown) => asWindlassError(error))
      if (!(config instanceof WindlassError)) return await deps.examine(config, { signal, ownRoot: ownRoot() })
      if (!['bad-config', 'invalid-argument'].includes(config.failure.kind)) throw config
      // What else the node lacks is worth knowing, too.
      const refused = linesOf(config).map((text): Finding => ({ level: 'fail', about: 'config', text }))
      const salvaged = deps.salvageConfig(sourcesOf(options(), io.env, runtime))
      return [...refused, ...(await deps.examine(salvaged, { signal, ownRoot: ownRoot() }))]
    },
    prove: async (runtime, ask, onProgress) => await deps.prove(await load(runtime), ask, { signal, onProgress }),
    serve: async (runtime, onReady) => {
      // What is typed wrong was not meant, and nobody has it in a unit that has ever run.
      deps.checkFlags(sourcesOf(options(), io.env, runtime).flags)
      const serve = (config: C, broken?: Error): Promise<void> =>
        deps.serve(config, {
          signal,
          onReload,
          onReady: () => onReady(config.socket.path),
          ...(broken === undefined ? {} : { broken }),
        })
      const config = await loadForRoot(false, runtime).catch((error: unknown) => asWindlassError(error))
      if (!(config instanceof WindlassError)) return await serve(config)
      // kubelet may be waiting: where there is a runtime it is answered all the same.
      await serve(deps.salvageConfig(sourcesOf(options(), io.env, runtime)), config)
    },
  }
}

/** A remark on stderr; parts of it may come from registries. */
export const note = (io: Io, text: string): void => void io.stderr.write(`${printable(text)}\n`)

/** A warning on stderr. */
export const warn = (io: Io, text: string): void => void io.stderr.write(`windlass: warning: ${text}\n`)

function sourcesOf(options: Options, env: Io['env'], runtime: RuntimeFlags): Sources {
  const file = textOption(options, 'config')
  const root = textOption(options, 'root')
  const socket = textOption(options, 'socket')
  const hostsDir = textOption(options, 'hostsDir')
  const flags = {
    ...(root === undefined ? {} : { root }),
    ...(socket === undefined ? {} : { socket }),
    ...(hostsDir === undefined ? {} : { hostsDir }),
    ...runtime,
  }
  return { env, flags, ...(file === undefined ? {} : { file }) }
}

/** File systems that hold what the kernel tells, and no files of anybody: statfs(2), linux/magic.h. */
const KERNELS: ReadonlyMap<number, string> = new Map([
  [0x9fa0, 'proc'],
  [0x6265_6572, 'sysfs'],
  [0x0027_e0eb, 'cgroup'],
  [0x6367_7270, 'cgroup2'],
  [0x1cd1, 'devpts'],
])

/** Says what an operator can do about a root that cannot be used, before an errno does. */
function checkRoot(rootDir: string, existing: boolean): void {
  const refuse = (reason: string): never => fail({ kind: 'invalid-argument', what: `root ${JSON.stringify(rootDir)}`, reason })
  let at = rootDir
  while (!existsSync(at)) at = dirname(at)
  if (!statSync(at).isDirectory()) refuse(`${at} is no directory; choose another --root`)
  const kernels = KERNELS.get(statfsSync(at).type)
  if (kernels !== undefined) refuse(`${at} is on ${kernels}, where nothing can be kept; choose another --root`)
  const isMissing = at !== rootDir
  const lack = lackOf(at, isMissing && existing ? constants.X_OK : constants.W_OK | constants.X_OK)
  if (lack === 'EROFS') refuse(`${at} is on a read-only file system; choose another --root`)
  if (lack !== undefined) refuse(`no permission for ${at} (${lack}); run this as root, or choose another --root`)
  if (isMissing && existing) refuse('there is no such root; windlass --root DIR pull makes one')
}

/** The errno with which a directory may not be used so; undefined if it may. */
function lackOf(dir: string, mode: number): string | undefined {
  try {
    accessSync(dir, mode)
    return undefined
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind !== 'system') throw error
    return failure.code
  }
}

/** Who names a directory means one that is there; the default need not be. */
function checkHostsDir(given: string | undefined): void {
  for (const dir of given?.split(':') ?? []) {
    if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true) continue
    fail({ kind: 'invalid-argument', what: `--hosts-dir ${JSON.stringify(dir)}`, reason: 'there is no such directory' })
  }
}

/** A root of one's own is meant by `--root`, else by WINDLASS_ROOT; to name a socket beside it, in the same way, is to want both. */
function meansOwnRoot(options: Options, env: Io['env']): boolean {
  const said = (name: string): boolean => (env[name] ?? '') !== ''
  const ways = [
    {
      root: textOption(options, 'root') !== undefined,
      socket: textOption(options, 'socket') !== undefined,
      names: ['--root', '--socket'],
    },
    { root: said('WINDLASS_ROOT'), socket: said('WINDLASS_SOCKET'), names: ['WINDLASS_ROOT', 'WINDLASS_SOCKET'] },
  ] as const
  const way = ways.find(({ root, socket }) => root || socket)
  if (way?.root === true && way.socket) {
    const [root, socket] = way.names
    const reason = `set ${root} to work on a root of your own, or ${socket} to ask its daemon, not both`
    fail({ kind: 'invalid-argument', what: 'options', reason })
  }
  return way?.root === true
}
