/** The pre-puller of a daemon, put together: the lists of a directory, their pull secrets, the disk. */
import { join } from 'node:path'
import { repositoryIn } from '../archive/choose.ts'
import { openArchive } from '../archive/open.ts'
import type { Config } from '../config/config.ts'
import { readImageLists } from '../config/image-list.ts'
import { authFileSource } from '../credentials/auth-file.ts'
import { createKeyring, type Source } from '../credentials/credentials.ts'
import { PluginSource } from '../credentials/plugin.ts'
import { fail } from '../failure/failure.ts'
import { measureDisk } from '../gc/disk.ts'
import type { PrepullFigures } from '../metrics/metrics.ts'
import { ListFiles } from '../prepull/lists.ts'
import type { Means, Place } from '../prepull/prepull.ts'
import { Prepuller } from '../prepull/prepuller.ts'
import type { AheadLimits } from '../pull/brake.ts'
import type { DeclaredQueue } from '../pull/queue.ts'
import type { Abortable } from '../task/task.ts'
import type { Logger } from './log.ts'

export interface Prepull extends AsyncDisposable {
  /** What the place answers may be another now. */
  wake(): void
  /** Reads the lists again, and looks at every image, now. */
  reload(): void
  queue(): DeclaredQueue
  /** Calls back whenever the queue, or a pull in flight, may have changed; stops on abort. Must not throw. */
  watch(onChange: () => void, options: Abortable): void
  /** Resolves once the lists have been read. */
  readonly read: Promise<void>
}

/** Undefined where no lists are configured. Disposing it ends its pulls. */
export function openPrepull({ prepull, rootDir }: Config, log: Logger, place: () => Place | undefined): Prepull | undefined {
  if (prepull === undefined) return undefined
  const stop = new AbortController()
  const { signal } = stop
  const prepuller = new Prepuller({
    place,
    means: { loginsFor: loginsOf(prepull, log), openArchive: archivesIn(prepull.archiveDir, rootDir, prepull.minFreePercent) },
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
    reload: () => void files.reload().then(() => prepuller.look()),
    queue: () => ({ ...prepuller.queue(), problems: files.problems }),
    watch: (onChange, options) => prepuller.watch(onChange, options),
    read,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await work
    },
  }
}

/** What is counted of it; nothing before it is open. */
export function figuresOf(prepull: Pick<Prepull, 'queue'> | undefined): PrepullFigures {
  const { images, problems } = prepull?.queue() ?? { images: [], problems: [] }
  return {
    images: images.map(({ list, state }) => ({
      list,
      state: state.kind === 'here' && !state.isProtected ? ('unprotected' as const) : state.kind,
    })),
    problems: problems.length,
  }
}

type Settings = NonNullable<Config['prepull']>

/** The list's own secrets, then the plugins. What cannot be asked is logged: the registry may let us in all the same. */
function loginsOf(
  { secretsDir, credentialProvider }: Pick<Settings, 'secretsDir' | 'credentialProvider'>,
  log: Logger,
): Means['loginsFor'] {
  const { env } = process
  const plugins: readonly Source[] = credentialProvider === undefined ? [] : [new PluginSource({ ...credentialProvider, env })]
  return async ({ name: list, secrets }, { reference: { registry, repository } }, options) => {
    if (secrets.length > 0 && secretsDir === undefined)
      log.warn({ list, secrets }, 'this list names pull secrets, and prepull.secretsDir does not say where they are')
    const files = secretsDir === undefined ? [] : secrets.map((name) => join(secretsDir, name, '.dockerconfigjson'))
    const sources = [...files.map((file) => authFileSource(file, { env, mustExist: true, isPullSecret: true })), ...plugins]
    const keyring = createKeyring(sources, (problem) => log.warn({ list, ...problem }, 'a login could not be looked for'))
    return (await keyring.candidates({ registry, repository }, options)).logins
  }
}

/** What cannot be read in place is written below `spoolDir`, to a file without a name, while so much of the disk is free. */
export function archivesIn(archiveDir: string | undefined, spoolDir: string, freePercent = 0): Means['openArchive'] {
  return async (name, image, options) => {
    if (archiveDir === undefined) {
      const reason = 'prepull.archiveDir does not say where archives are'
      return fail({ kind: 'invalid-argument', what: `archive ${JSON.stringify(name)} of ${image.name}`, reason })
    }
    await using opened = new AsyncDisposableStack()
    const archive = opened.use(await openArchive({ path: join(archiveDir, name) }, { ...options, spoolDir, freePercent }))
    const repository = await repositoryIn(archive, image.name, options)
    const kept = opened.move()
    return { repository, [Symbol.asyncDispose]: () => kept.disposeAsync() }
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
