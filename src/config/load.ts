/** Flags over `WINDLASS_*` variables over the file over the defaults, each value checked where it was said. */
import { lstatSync } from 'node:fs'
import { resolve } from 'node:path'
import type { z } from 'zod'
import { fail, WindlassError } from '../failure/failure.ts'
import type { Config, ConfigFlags, ConfigSources } from './config.ts'
import { defaults, USUAL_FILE } from './config.ts'
import { readDocument, salvageDocument } from './document.ts'
import type { Configuration } from './schema.ts'
import {
  API_VERSION,
  bindAddress,
  failurePolicy,
  fromText,
  logFormat,
  logLevel,
  mode,
  path,
  pathList,
  progressTimeout,
  runtimeKind,
  socketText,
} from './schema.ts'

/** The configuration in force. Throws bad-config for the file, invalid-argument for a variable or a flag. */
export function loadConfig(sources: ConfigSources): Config {
  const file = fileIn(sources)
  const read = file === undefined ? { configuration: nothing, warnings: [] } : readDocument(resolve(file))
  let configuration = read.configuration
  for (const override of overrides) configuration = override(configuration, sources)
  return complete(configuration, read.warnings, { file, isOwnRoot: isOwnRoot(sources) })
}

/** What is typed is a person's slip, seen at once, whatever a file says. Throws invalid-argument. */
export function checkFlags(flags: ConfigFlags): void {
  for (const override of overrides) override(nothing, { flags, env: {} })
}

/**
 * What can be made of sources that `loadConfig` refuses: the defaults, and every setting, flag and variable that makes sense by itself. For
 * a daemon that kubelet waits for, which has to answer whatever its file says.
 */
export function salvageConfig(sources: ConfigSources): Config {
  const file = fileIn(sources)
  let configuration = file === undefined ? nothing : salvageDocument(resolve(file))
  for (const override of overrides) {
    try {
      configuration = override(configuration, sources)
    } catch (error) {
      if (!(error instanceof WindlassError)) throw error
    }
  }
  const config = complete(configuration, [], { file, isOwnRoot: isOwnRoot(sources) })
  if (configuration.runtime?.kind !== undefined) return config
  return Object.freeze({ ...config, runtime: Object.freeze({ ...config.runtime, isUnknown: true }) })
}

function fileIn({ file, env, usual = USUAL_FILE }: ConfigSources): string | undefined {
  return file ?? said(env.WINDLASS_CONFIG) ?? (isThere(usual) ? usual : undefined)
}

/** Whatever it is; what cannot even be looked for is not there for us. */
function isThere(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch {
    return false
  }
}

/** Who names a root on the command line means the store that is there. */
const isOwnRoot = ({ flags, env }: ConfigSources): boolean => (flags.root ?? said(env.WINDLASS_ROOT)) !== undefined

const nothing: Configuration = { apiVersion: API_VERSION, kind: 'WindlassConfiguration' }

/** An empty variable counts as not set: that is how a unit file or a manifest takes one back. */
const said = (text: string | undefined): string | undefined => (text === '' ? undefined : text)

type Override = (configuration: Configuration, sources: ConfigSources) => Configuration

/** One setting that a variable, and perhaps a flag, can override. */
function override<T>(
  variable: string,
  schema: z.ZodType<T>,
  put: (configuration: Configuration, value: T) => Configuration,
  flag?: { readonly name: string; readonly of: (flags: ConfigSources['flags']) => string | undefined },
): Override {
  return (configuration, { flags, env }) => {
    const typed = flag?.of(flags)
    const text = typed ?? said(env[variable])
    if (text === undefined) return configuration
    const result = schema.safeParse(text)
    if (result.success) return put(configuration, result.data)
    const what = typed === undefined || flag === undefined ? variable : flag.name
    fail({
      kind: 'invalid-argument',
      what: `${what} ${JSON.stringify(text)}`,
      reason: result.error.issues[0]?.message ?? 'not usable',
    })
  }
}

/** Several directories may be given, as containerd's config_path has them. */
const eachFromHere = (text: string | undefined): string | undefined => text?.split(':').map(fromHere).join(':')

/** Paths on the command line start where the person stands; an empty one, an unset variable of a script, leads nowhere and is refused. */
const fromHere = (text: string | undefined): string | undefined => (text === undefined || text === '' ? text : resolve(text))

const overrides: readonly Override[] = [
  override('WINDLASS_ROOT', path, (c, rootDir) => ({ ...c, rootDir }), { name: '--root', of: (flags) => fromHere(flags.root) }),
  override('WINDLASS_SOCKET', socketText, (c, path) => ({ ...c, socket: { ...c.socket, path } }), {
    name: '--socket',
    of: ({ socket }) => (socket?.includes('://') ? socket : fromHere(socket?.replace(/^unix:/, ''))),
  }),
  override('WINDLASS_SOCKET_MODE', mode, (c, mode) => ({ ...c, socket: { ...c.socket, mode } })),
  override('WINDLASS_HOSTS_DIR', pathList, (c, configPath) => ({ ...c, registry: { ...c.registry, configPath } }), {
    name: '--hosts-dir',
    of: (flags) => eachFromHere(flags.hostsDir),
  }),
  override('WINDLASS_REGISTRIES_CONF', path, (c, registriesConf) => ({ ...c, registry: { ...c.registry, registriesConf } })),
  override('WINDLASS_RUNTIME', runtimeKind, (c, kind) => ({ ...c, runtime: { ...c.runtime, kind } }), {
    name: '--runtime',
    of: ({ runtime }) => runtime,
  }),
  override('WINDLASS_RUNTIME_ENDPOINT', socketText, (c, endpoint) => ({ ...c, runtime: { ...c.runtime, endpoint } }), {
    name: '--runtime-endpoint',
    of: ({ runtimeEndpoint }) => runtimeEndpoint,
  }),
  override('WINDLASS_FAILURE_POLICY', failurePolicy, (c, failurePolicy) => ({ ...c, runtime: { ...c.runtime, failurePolicy } })),
  override('WINDLASS_PROGRESS_TIMEOUT', progressTimeout, (c, progressTimeout) => ({
    ...c,
    registry: { ...c.registry, progressTimeout },
  })),
  override('WINDLASS_MAX_PARALLEL_IMAGE_PULLS', fromText.maxParallelImagePulls, (c, n) => ({ ...c, maxParallelImagePulls: n })),
  override('WINDLASS_UNPACK_WORKERS', fromText.unpackWorkers, (c, n) => ({ ...c, unpackWorkers: n })),
  override('WINDLASS_MAX_UNPACKED_SIZE', fromText.maxUnpackedSize, (c, n) => ({
    ...c,
    limits: { ...c.limits, maxUnpackedSize: n },
  })),
  override('WINDLASS_MAX_LAYER_ENTRIES', fromText.maxLayerEntries, (c, n) => ({
    ...c,
    limits: { ...c.limits, maxLayerEntries: n },
  })),
  override('WINDLASS_MAX_COMPRESSION_RATIO', fromText.maxCompressionRatio, (c, n) => ({
    ...c,
    limits: { ...c.limits, maxCompressionRatio: n },
  })),
  override('WINDLASS_MAX_LAYER_METADATA', fromText.maxLayerMetadata, (c, n) => ({
    ...c,
    limits: { ...c.limits, maxLayerMetadata: n },
  })),
  override('WINDLASS_METRICS_ADDRESS', bindAddress, (c, bindAddress) => ({ ...c, metrics: { bindAddress } })),
  override('WINDLASS_LOG_FORMAT', logFormat, (c, format) => ({ ...c, logging: { ...c.logging, format } })),
  override('WINDLASS_LOG_LEVEL', logLevel, (c, level) => ({ ...c, logging: { ...c.logging, level } })),
]

function complete(
  c: Configuration,
  warnings: readonly string[],
  { file, isOwnRoot }: { readonly file: string | undefined; readonly isOwnRoot: boolean },
): Config {
  return Object.freeze({
    rootDir: c.rootDir ?? defaults.rootDir,
    socket: Object.freeze({ path: c.socket?.path ?? defaults.socket.path, mode: c.socket?.mode ?? defaults.socket.mode }),
    runtime: Object.freeze({
      kind: c.runtime?.kind ?? (isOwnRoot ? 'none' : defaults.runtime.kind),
      ...(c.runtime?.endpoint === undefined ? {} : { endpoint: c.runtime.endpoint }),
      failurePolicy: c.runtime?.failurePolicy ?? defaults.runtime.failurePolicy,
    }),
    registry: registryOf(c.registry),
    maxParallelImagePulls: c.maxParallelImagePulls ?? defaults.maxParallelImagePulls,
    unpackWorkers: c.unpackWorkers ?? defaults.unpackWorkers,
    durability: c.durability ?? 'Sync',
    keepBlobs: c.keepBlobs ?? false,
    keepPartials: c.keepPartials ?? false,
    gc: watermarksOf(c.gc),
    pins: Object.freeze((c.pins ?? []).map(pinRuleOf)),
    limits: Object.freeze({
      maxUnpackedSize: c.limits?.maxUnpackedSize ?? defaults.limits.maxUnpackedSize,
      maxLayerEntries: c.limits?.maxLayerEntries ?? defaults.limits.maxLayerEntries,
      maxCompressionRatio: c.limits?.maxCompressionRatio ?? defaults.limits.maxCompressionRatio,
      maxLayerMetadata: c.limits?.maxLayerMetadata ?? defaults.limits.maxLayerMetadata,
    }),
    ...prepullOf(c.prepull),
    ...(c.metrics?.bindAddress === undefined ? {} : { metrics: Object.freeze(c.metrics.bindAddress) }),
    logging: Object.freeze({
      format: c.logging?.format ?? defaults.logging.format,
      level: c.logging?.level ?? defaults.logging.level,
    }),
    warnings: Object.freeze([...warnings]),
    ...(file === undefined ? {} : { file: resolve(file) }),
  })
}

function transfersOf(registry: Configuration['registry']): Config['registry']['transfers'] {
  const { transfers } = defaults.registry
  const rate = registry?.maxBytesPerSecond
  return Object.freeze({
    maxConnections: registry?.maxConnections ?? transfers.maxConnections,
    maxConnectionsPerHost: registry?.maxConnectionsPerHost ?? transfers.maxConnectionsPerHost,
    maxConnectionsPerLayer: registry?.maxConnectionsPerLayer ?? transfers.maxConnectionsPerLayer,
    ...(rate === undefined ? {} : { maxBytesPerSecond: rate }),
  })
}

function registryOf(registry: Configuration['registry']): Config['registry'] {
  const { httpProxy, httpsProxy, noProxy, credentialProvider } = registry ?? {}
  return Object.freeze({
    configPath: registry?.configPath ?? defaults.registry.configPath,
    registriesConf: registry?.registriesConf ?? defaults.registry.registriesConf,
    progressTimeoutMs: registry?.progressTimeout ?? defaults.registry.progressTimeoutMs,
    recheckAccess: registry?.recheckAccess ?? defaults.registry.recheckAccess,
    transfers: transfersOf(registry),
    staleTagsFor: Object.freeze([...(registry?.staleTagsFor ?? [])]),
    ...(httpProxy === undefined ? {} : { httpProxy }),
    ...(httpsProxy === undefined ? {} : { httpsProxy }),
    ...(noProxy === undefined ? {} : { noProxy }),
    authFiles: Object.freeze([...(registry?.authFiles ?? defaults.registry.authFiles)]),
    ...(credentialProvider === undefined ? {} : { credentialProvider: Object.freeze(credentialProvider) }),
  })
}

function watermarksOf(gc: Configuration['gc']): Config['gc'] {
  const { highPercent, lowPercent, minAgeMs } = defaults.gc
  const high = gc?.highThresholdPercent ?? highPercent
  return Object.freeze({
    highPercent: high,
    lowPercent: gc?.lowThresholdPercent ?? Math.min(lowPercent, high),
    minAgeMs: gc?.minimumAge ?? minAgeMs,
    // As in kubelet, 0 is no bound.
    ...(gc?.maximumAge === undefined || gc.maximumAge === 0 ? {} : { maxAgeMs: gc.maximumAge }),
  })
}

function prepullOf(prepull: Configuration['prepull']): Pick<Config, 'prepull'> {
  if (prepull?.listDir === undefined) return {}
  const { listDir, secretsDir, archiveDir, startJitter, maxBytesPerSecond, credentialProvider } = prepull
  return {
    prepull: Object.freeze({
      listDir,
      startJitterMs: startJitter ?? defaults.prepull.startJitterMs,
      maxParallelImagePulls: prepull.maxParallelImagePulls ?? defaults.prepull.maxParallelImagePulls,
      minFreePercent: prepull.minFreePercent ?? defaults.prepull.minFreePercent,
      ...(secretsDir === undefined ? {} : { secretsDir }),
      ...(archiveDir === undefined ? {} : { archiveDir }),
      ...(maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond }),
      ...(credentialProvider === undefined ? {} : { credentialProvider: Object.freeze(credentialProvider) }),
    }),
  }
}

const pinRuleOf = ({ images, reason = '', ttl }: NonNullable<Configuration['pins']>[number]): Config['pins'][number] =>
  Object.freeze({ images: Object.freeze([...images]), reason, ...(ttl === undefined ? {} : { ttlMs: ttl }) })
