/** The pre-puller of a daemon, put together: the lists of a directory, their pull secrets, the disk. */
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { readImageLists } from '../config/image-list.ts'
import { authFileSource } from '../credentials/auth-file.ts'
import { createKeyring, type Source } from '../credentials/credentials.ts'
import { PluginSource } from '../credentials/plugin.ts'
import { measureDisk } from '../gc/disk.ts'
import type { PrepullFigures } from '../metrics/metrics.ts'
import { ListFiles } from '../prepull/lists.ts'
import type { DeclaredImage, ImageList, Place, QueuedImage } from '../prepull/prepull.ts'
import { Prepuller } from '../prepull/prepuller.ts'
import type { AheadLimits } from '../pull/brake.ts'
import type { Credentials } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'
import type { Logger } from './log.ts'

export interface Prepull extends AsyncDisposable {
  /** What the place answers may be another now. */
  wake(): void
  /** Reads the lists again, now. */
  reload(): void
  queue(): readonly QueuedImage[]
  /** What is wrong with the lists. */
  problems(): readonly string[]
  /** Names of the lists, those without images too. */
  lists(): readonly string[]
  /** Calls back whenever the queue, or a pull in flight, may have changed; stops on abort. Must not throw. */
  watch(onChange: () => void, options: Abortable): void
  /** Resolves once the lists have been read. */
  readonly read: Promise<void>
}

/** Undefined where no lists are configured. Disposing it ends its pulls. */
export function openPrepull({ prepull }: Config, log: Logger, place: () => Place | undefined): Prepull | undefined {
  if (prepull === undefined) return undefined
  const stop = new AbortController()
  const { signal } = stop
  const prepuller = new Prepuller({
    place,
    loginsFor: loginsOf(prepull, log),
    freePercent: async (dir) => 100 - (await measureDisk(dir)).usedPercent,
    maxParallel: prepull.maxParallelImagePulls,
    startJitterMs: prepull.startJitterMs,
    minFreePercent: prepull.minFreePercent,
    log,
  })
  const files = new ListFiles({
    dir: prepull.listDir,
    read: readImageLists,
    onChange: (declared) => prepuller.declare(declared),
    log,
  })
  const read = files.start({ signal })
  const work = Promise.all([read, prepuller.run({ signal })])
  return {
    wake: () => prepuller.wake(),
    reload: () => void files.reload(),
    queue: () => prepuller.queue(),
    problems: () => files.problems,
    lists: () => prepuller.lists(),
    watch: (onChange, options) => prepuller.watch(onChange, options),
    read,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await work
    },
  }
}

/** What is counted of it; nothing before it is open. */
export function figuresOf(prepull: Pick<Prepull, 'queue' | 'problems'> | undefined): PrepullFigures {
  const images = (prepull?.queue() ?? []).map(({ list, state }) => ({
    list,
    state: state.kind === 'here' && !state.isProtected ? ('unprotected' as const) : state.kind,
  }))
  return { images, problems: prepull?.problems().length ?? 0 }
}

type Settings = NonNullable<Config['prepull']>

/** The list's own secrets, then the plugins. What cannot be asked is logged: the registry may let us in all the same. */
function loginsOf(
  { secretsDir, credentialProvider }: Pick<Settings, 'secretsDir' | 'credentialProvider'>,
  log: Logger,
): (list: ImageList, image: DeclaredImage, options: Abortable) => Promise<readonly Credentials[]> {
  const { env } = process
  const plugins: readonly Source[] = credentialProvider === undefined ? [] : [new PluginSource({ ...credentialProvider, env })]
  return async ({ name: list, secrets }, { reference: { registry, repository } }, options) => {
    if (secrets.length > 0 && secretsDir === undefined)
      log.warn({ list, secrets }, 'this list names pull secrets, and prepull.secretsDir does not say where they are')
    const files = secretsDir === undefined ? [] : secrets.map((name) => join(secretsDir, name, '.dockerconfigjson'))
    const sources = [...files.map((file) => authFileSource(file, { env, mustExist: true })), ...plugins]
    const keyring = createKeyring(sources, (problem) => log.warn({ list, ...problem }, 'a login could not be looked for'))
    return (await keyring.candidates({ registry, repository }, options)).logins
  }
}

/**
 * What layers brought ahead may take at once, so that a pod's find a worker and a connection while they stand still. Where there is one worker,
 * or as few connections as one layer may use, none can be left, and nothing stands still.
 */
export function aheadLimits({ prepull, registry }: Pick<Config, 'prepull' | 'registry'>, workers: number): AheadLimits {
  const { maxConnections, maxConnectionsPerHost, maxConnectionsPerLayer } = registry.transfers
  const connected = Math.floor((Math.min(maxConnections, maxConnectionsPerHost) - 1) / maxConnectionsPerLayer)
  const rate = prepull?.maxBytesPerSecond
  return {
    layers: Math.max(0, Math.min(workers - 1, connected)),
    ...(rate === undefined ? {} : { maxBytesPerSecond: rate }),
  }
}
