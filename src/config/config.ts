/**
 * What this process runs with. One YAML file, checked whole before anything starts; `WINDLASS_*` variables override it, flags override
 * both. A `Config` is frozen, complete and in machine units: bytes, milliseconds, absolute paths. It stops at `main.ts`, which hands each
 * room the few values it needs.
 */

import { DEFAULT_HOSTS_DIR } from '../registry/registry.ts'

export type Config = {
  /** Holds the store. Absolute. */
  readonly rootDir: string
  /** `mode` are permission bits, 0o660 unless told. */
  readonly socket: { readonly path: string; readonly mode: number }
  /**
   * Whose images these are to be. `auto` takes the runtime whose socket is there, else none; `none` keeps them in the local store. Without
   * `endpoint`, a path, the runtime is looked for where it usually listens. `Forward` hands a pull that our path cannot do to the runtime.
   * `isUnknown` where a file that is refused may have said another kind.
   */
  readonly runtime: {
    readonly kind: RuntimeKind
    readonly endpoint?: string
    readonly failurePolicy: FailurePolicy
    readonly isUnknown?: true
  }
  /**
   * `configPath` names hosts.toml directories (containerd's certs.d layout), colons between them; they need not exist. `registriesConf`
   * is the file of CRI-O and podman, which need not exist either; beside containerd it does not count.
   */
  readonly registry: {
    readonly configPath: string
    readonly registriesConf: string
    readonly progressTimeoutMs: number
    /** See docs/access.md. */
    readonly recheckAccess: boolean
    /** In place of HTTP_PROXY and its like; empty: none. Their addresses may hold logins. */
    readonly httpProxy?: string
    readonly httpsProxy?: string
    readonly noProxy?: string
    /** Files with logins for pulls that bring none. */
    readonly authFiles: readonly string[]
    /** kubelet's plugins, for the same. */
    readonly credentialProvider?: { readonly configPath: string; readonly binDir: string }
    /** What layers may take of the network: connections, and bytes a second over all of them; absent: no limit. */
    readonly transfers: {
      readonly maxConnections: number
      readonly maxConnectionsPerHost: number
      readonly maxConnectionsPerLayer: number
      readonly maxBytesPerSecond?: number
    }
    /** Repositories, or what they begin with, whose tags are answered with what they named last where nobody can be reached. */
    readonly staleTagsFor: readonly string[]
  }
  readonly maxParallelImagePulls: number
  /** 0: as many as the cgroup's CPU quota allows. */
  readonly unpackWorkers: number
  /** `Lazy` shows an image before its layers are on disk: for nodes that are thrown away. */
  readonly durability: Durability
  /** Beside containerd alone: layers' blobs stay in its content store. */
  readonly keepBlobs: boolean
  /** What came of large layers stays for the next start, until they are complete. */
  readonly keepPartials: boolean
  /** When images go by themselves; see gc/choose.ts. */
  readonly gc: {
    readonly highPercent: number
    readonly lowPercent: number
    readonly minAgeMs: number
    readonly maxAgeMs?: number
  }
  /** Images pinned by name; globs are store/pins.ts's. */
  readonly pins: readonly { readonly images: readonly string[]; readonly reason: string; readonly ttlMs?: number }[]
  /** Bytes, entries, uncompressed to compressed, bytes of extended headers. */
  readonly limits: {
    readonly maxUnpackedSize: number
    readonly maxLayerEntries: number
    readonly maxCompressionRatio: number
    readonly maxLayerMetadata: number
  }
  /** Images pulled before any pod wants them; absent: none. See docs/prepull.md. */
  readonly prepull?: {
    /** Its `*.yaml` files are the lists. */
    readonly listDir: string
    /** Pull secrets are `NAME/.dockerconfigjson` below it. */
    readonly secretsDir?: string
    /** Archives that images of lists come from. */
    readonly archiveDir?: string
    readonly startJitterMs: number
    readonly maxParallelImagePulls: number
    /** Over all of them; absent: no limit. */
    readonly maxBytesPerSecond?: number
    /** None begins with less of the disk free. */
    readonly minFreePercent: number
    /** kubelet's plugins, for these pulls. */
    readonly credentialProvider?: { readonly configPath: string; readonly binDir: string }
  }
  /** Where metrics and probes are served; absent: nowhere. */
  readonly metrics?: { readonly host: string; readonly port: number }
  readonly logging: { readonly format: 'json' | 'text'; readonly level: LogLevel }
  /** The file this came from; absent where there was none. */
  readonly file?: string
  /** What the file says that has no effect in this version, one sentence each, for the log. */
  readonly warnings: readonly string[]
}

export type Durability = 'Sync' | 'Lazy'
export type RuntimeKind = 'auto' | 'containerd' | 'crio' | 'none'
export type FailurePolicy = 'Forward' | 'Fail'
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/** What was said on the command line, as typed. */
export type ConfigFlags = {
  readonly root?: string
  readonly socket?: string
  readonly hostsDir?: string
  readonly runtime?: string
  readonly runtimeEndpoint?: string
}

/** Where a configuration comes from. `file` is `--config`; `WINDLASS_CONFIG` in `env` stands in for it, else `usual`, if it is there. */
export type ConfigSources = {
  readonly file?: string
  readonly flags: ConfigFlags
  readonly env: Readonly<Record<string, string | undefined>>
  /** USUAL_FILE unless told otherwise. */
  readonly usual?: string
}

/** Where a package puts it. */
export const USUAL_FILE = '/etc/windlass/windlass.yaml'

/** What holds where nothing else is said. */
export const defaults = {
  rootDir: '/var/lib/windlass',
  socket: { path: '/run/windlass/windlass.sock', mode: 0o660 },
  runtime: { kind: 'auto', failurePolicy: 'Forward' },
  registry: {
    configPath: DEFAULT_HOSTS_DIR,
    registriesConf: '/etc/containers/registries.conf',
    progressTimeoutMs: 300_000,
    recheckAccess: false,
    authFiles: [],
    transfers: { maxConnections: 64, maxConnectionsPerHost: 32, maxConnectionsPerLayer: 4 },
  },
  maxParallelImagePulls: 4,
  unpackWorkers: 0,
  gc: { highPercent: 85, lowPercent: 80, minAgeMs: 120_000 },
  limits: {
    maxUnpackedSize: 64 * 2 ** 30,
    maxLayerEntries: 4_000_000,
    maxCompressionRatio: 1000,
    maxLayerMetadata: 64 * 2 ** 20,
  },
  prepull: { startJitterMs: 0, maxParallelImagePulls: 1, minFreePercent: 20 },
  logging: { format: 'json', level: 'info' },
} as const
