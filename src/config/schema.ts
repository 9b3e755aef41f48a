/** The shape of the file, key by key. Unknown keys are refused; what this version cannot keep as a promise is refused too. */
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { nearest } from '../failure/nearest.ts'
import { parseDuration, parseQuantity } from '../units/units.ts'

export const API_VERSION = 'windlass.dev/v1alpha1'

/** Unix socket addresses end at 107 bytes (unix(7)). */
const SOCKET_PATH_BYTES = 107

export const path = z
  .string('want a path')
  .refine((text) => isAbsolute(text) && !text.includes('\0'), 'want an absolute path')
  .max(4095)
/** Directories with colons between them, as containerd's config_path. */
export const pathList = z
  .string('want a path')
  .refine(
    (text) => text.split(':').every((each) => path.safeParse(each).success),
    'want absolute paths, with colons between them',
  )
export const socketPath = path.refine(
  (text) => Buffer.byteLength(text) <= SOCKET_PATH_BYTES,
  `a unix socket path has at most ${SOCKET_PATH_BYTES} bytes`,
)

/** The same as it is said on a command line and in variables, where gRPC's spelling is common. */
export const socketText = z
  .string()
  .transform((text) => text.replace(/^unix:(?:\/\/)?/, ''))
  .refine((text) => !/^[a-z][a-z0-9+.-]*:\/\//i.test(text), 'want a unix socket: /path or unix:///path')
  .pipe(socketPath)

/** A mode is a string: YAML reads a bare 0660 as the number six hundred and sixty. */
export const mode = z
  .string('want the mode as a quoted octal string such as "0660"')
  .regex(/^0?[0-7]{3}$/, 'want an octal mode such as "0660"')
  .transform((text) => Number.parseInt(text, 8))

export const whole = (min: number, max: number) => z.int(`want a whole number from ${min} to ${max}`).min(min).max(max)
/** The same, from text: flags and variables have no numbers. */
const wholeText = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'want a whole number')
    .transform(Number)
    .pipe(whole(min, max))

const quantity = z.union([z.string(), z.int()], 'want a quantity such as 64Gi').transform((given, context) => {
  const value = parseQuantity(String(given))
  if (value !== undefined && value > 0) return value
  context.addIssue({ code: 'custom', message: 'want a quantity above zero such as 64Gi or 100M' })
  return z.NEVER
})

/** A hundred years: beyond some more of them there are no dates. */
const MAX_DURATION_MS = 876_000 * 3_600_000
/** What a timer can wait for; with more it is over at once. */
export const MAX_TIMER_MS = 596 * 3_600_000

export const durationAtLeast = (min: number, wanted: string, max: number = MAX_DURATION_MS) =>
  z.string(`want a duration such as ${wanted}`).transform((given, context) => {
    const value = parseDuration(given)
    if (value !== undefined && value >= min && value <= max) return value
    const bound = value !== undefined && value > max ? `, at most ${max / 3_600_000}h` : min > 0 ? `, at least ${min} ms` : ''
    context.addIssue({ code: 'custom', message: `want a duration such as ${wanted}${bound}` })
    return z.NEVER
  })

/** Empty: none. Never shown where it is wrong: it may hold a login. */
const proxyAddress = z
  .string('want the address of a proxy')
  .refine(
    (text) => text === '' || (/^https?:\/\//.test(text) && URL.canParse(text)),
    'want the address of an HTTP proxy such as http://proxy.example:3128',
  )

const MAX_AUTH_FILES = 20
const MAX_PULLS = 64
const MAX_WORKERS = 64
const MAX_ENTRIES = 100_000_000
const MAX_RATIO = 1_000_000
const MAX_CONNECTIONS = 1_000
const MAX_CONNECTIONS_PER_LAYER = 16

const RUNTIME_KINDS = ['auto', 'containerd', 'crio', 'none'] as const
export const runtimeKind = z.enum(RUNTIME_KINDS, {
  error: ({ input }) => {
    const meant = typeof input === 'string' ? nearest(input, RUNTIME_KINDS) : undefined
    return `want auto, containerd, crio or none${meant === undefined ? '' : `; perhaps ${meant} is meant`}`
  },
})
export const failurePolicy = z.enum(['Forward', 'Fail'], 'want Forward or Fail')
export const logFormat = z.enum(['json', 'text'])
export const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error'])
/** `127.0.0.1:9477`, `[::1]:9477`; without an address all of them are meant, as in Go. */
export const bindAddress = z.string('want address:port').transform((text, context) => {
  const groups = /^(?:\[(?<six>[0-9a-f:.]+)\]|(?<other>[0-9a-z.-]*)):(?<port>\d{1,5})$/i.exec(text)?.groups
  const port = Number(groups?.port)
  if (groups !== undefined && port <= 65_535) return { host: groups.six ?? (groups.other || '::'), port }
  context.addIssue({ code: 'custom', message: 'want address:port such as 127.0.0.1:9477' })
  return z.NEVER
})
export const progressTimeout = durationAtLeast(1000, '5m', MAX_TIMER_MS)
export const fromText = {
  maxParallelImagePulls: wholeText(1, MAX_PULLS),
  unpackWorkers: wholeText(0, MAX_WORKERS),
  maxUnpackedSize: quantity,
  maxLayerEntries: wholeText(1, MAX_ENTRIES),
  maxCompressionRatio: wholeText(1, MAX_RATIO),
  maxLayerMetadata: quantity,
}

const MAX_PIN_RULES = 100
const MAX_PIN_GLOBS = 100
/** In normal form, as `windlass images` shows names; one that could match nothing is a slip of the pen. */
const pinGlob = z
  .string('want a name such as registry.example/base/*')
  .max(512)
  .regex(
    /^(?:\*\*\S*|[a-z0-9*][^\s/]*\/\S+)$/i,
    'want a whole name such as docker.io/library/debian:* or registry.example/base/**',
  )

const MAX_STALE_PREFIXES = 100
/** A repository in normal form, or what it begins with; a registry alone is all of its repositories. */
const repositoryPrefix = z
  .string('want a repository such as registry.example/team')
  .max(512)
  .regex(/^[a-z0-9][a-z0-9.-]*(?::\d+)?(?:\/[a-z0-9._-]+)*\/?$/, 'want a repository such as registry.example/team, without a tag')

/** A WindlassConfiguration document, every setting optional. */
export const configurationSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('WindlassConfiguration'),
  metadata: z.strictObject({ name: z.string() }).optional(),
  rootDir: path.optional(),
  socket: z.strictObject({ path: socketPath.optional(), mode: mode.optional() }).optional(),
  runtime: z
    .strictObject({
      kind: runtimeKind.optional(),
      endpoint: socketText.optional(),
      failurePolicy: failurePolicy.optional(),
    })
    .optional(),
  registry: z
    .strictObject({
      configPath: pathList.optional(),
      registriesConf: path.optional(),
      progressTimeout: progressTimeout.optional(),
      maxConnections: whole(1, MAX_CONNECTIONS).optional(),
      maxConnectionsPerHost: whole(1, MAX_CONNECTIONS).optional(),
      maxConnectionsPerLayer: whole(1, MAX_CONNECTIONS_PER_LAYER).optional(),
      maxBytesPerSecond: quantity.optional(),
      staleTagsFor: z.array(repositoryPrefix).max(MAX_STALE_PREFIXES).optional(),
      httpProxy: proxyAddress.optional(),
      httpsProxy: proxyAddress.optional(),
      noProxy: z.string().max(65_536).optional(),
      authFiles: z.array(path).max(MAX_AUTH_FILES).optional(),
      credentialProvider: z.strictObject({ configPath: path, binDir: path }).optional(),
      recheckAccess: z.boolean().optional(),
    })
    .optional(),
  maxParallelImagePulls: whole(1, MAX_PULLS).optional(),
  unpackWorkers: whole(0, MAX_WORKERS).optional(),
  durability: z.enum(['Sync', 'Lazy'], 'want Sync or Lazy').optional(),
  keepBlobs: z.boolean().optional(),
  keepPartials: z.boolean().optional(),
  limits: z
    .strictObject({
      maxUnpackedSize: quantity.optional(),
      maxLayerEntries: whole(1, MAX_ENTRIES).optional(),
      maxCompressionRatio: whole(1, MAX_RATIO).optional(),
      maxLayerMetadata: quantity.optional(),
    })
    .optional(),
  gc: z
    .strictObject({
      highThresholdPercent: whole(1, 100).optional(),
      lowThresholdPercent: whole(0, 100).optional(),
      minimumAge: durationAtLeast(0, '2m').optional(),
      maximumAge: durationAtLeast(0, '168h').optional(),
    })
    .refine(
      ({ highThresholdPercent: high = 85, lowThresholdPercent: low }) => low === undefined || low <= high,
      'want a lowThresholdPercent of at most highThresholdPercent',
    )
    .optional(),
  pins: z
    .array(
      z.strictObject({
        images: z.array(pinGlob).min(1).max(MAX_PIN_GLOBS),
        reason: z.string().max(1024).optional(),
        ttl: durationAtLeast(1000, '72h').optional(),
      }),
    )
    .max(MAX_PIN_RULES)
    .optional(),
  metrics: z
    .strictObject({
      bindAddress: bindAddress.optional(),
    })
    .optional(),
  logging: z.strictObject({ format: logFormat.optional(), level: logLevel.optional() }).optional(),
  prepull: z
    .strictObject({
      listDir: path.optional(),
      secretsDir: path.optional(),
      archiveDir: path.optional(),
      startJitter: durationAtLeast(0, '5m').optional(),
      maxParallelImagePulls: whole(1, MAX_PULLS).optional(),
      maxBytesPerSecond: quantity.optional(),
      minFreePercent: whole(0, 99).optional(),
      kubernetes: z.boolean().optional(),
      credentialProvider: z.strictObject({ configPath: path, binDir: path }).optional(),
    })
    .optional(),
})

export type Configuration = z.output<typeof configurationSchema>

/** What a configured feature that has no effect yet is answered with. */
export function withoutEffect(configuration: Configuration): string[] {
  const { prepull } = configuration
  const isIdle = prepull !== undefined && prepull.listDir === undefined
  return isIdle ? ['prepull: without listDir no list is pulled'] : []
}
