/**
 * containerd's own configuration files, for what its CRI plugin no longer tells since 2.0: how images are pulled. Read leniently, because
 * they are another program's: what is not as expected counts as not said.
 */
import { accessSync, constants, globSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { readRegular } from '../sys/regular.ts'

export const CONFIG_FILE = '/etc/containerd/config.toml'
/** What `containerd config dump` prints has 10 KiB; the parser takes some 0.3 s for so much. */
const MAX_BYTES = 2 ** 20
const MAX_FILES = 100
/** Imported since 2.2 where nothing else is; taken for imported before too: to see too much leaves a pull to the runtime. */
const DROP_INS = '/etc/containerd/conf.d/*.toml'
/** Where verifiers are looked for unless the file says otherwise. */
const VERIFIERS = '/opt/containerd/image-verifier/bin'
const VERIFIER = 'io.containerd.image-verifier.v1.bindir'

/** Anything that is not of this shape is as if it were not there. */
export const lenient = <T extends z.ZodType>(schema: T) => schema.nullish().catch(undefined)
const text = lenient(z.string())
const table = lenient(z.record(z.string(), z.unknown()))
const names = lenient(z.array(z.string()))

const registrySchema = z.object({ config_path: text, mirrors: table, configs: table, auths: table, headers: table })
export type RegistrySettings = z.output<typeof registrySchema>

/** CRI's plugin before it was split in 2.0; files of that shape are read by all that came after, too. */
const whole = lenient(
  z.object({
    sandbox_image: text,
    registry: lenient(registrySchema),
    containerd: lenient(z.object({ snapshotter: text })),
  }),
)
const schema = z.object({
  disabled_plugins: names,
  plugins: lenient(
    z.object({
      'io.containerd.cri.v1.images': lenient(
        z.object({
          snapshotter: text,
          registry: lenient(registrySchema),
          pinned_images: lenient(z.object({ sandbox: text })),
          runtime_platforms: lenient(z.record(z.string(), lenient(z.object({ snapshotter: text })))),
        }),
      ),
      'io.containerd.grpc.v1.cri': whole,
      cri: whole,
      [VERIFIER]: lenient(z.object({ bin_dir: text })),
    }),
  ),
})

export type ImageSettings = {
  readonly snapshotter?: string
  readonly registry?: RegistrySettings
  /** The file that was asked for, whichever said what. */
  readonly file: string
  readonly sandboxImage?: string
  /** Snapshotters of runtime handlers that name one, by handler. */
  readonly snapshotters: Readonly<Record<string, string>>
  /** Programs that containerd asks before it pulls. */
  readonly verifiers: readonly string[]
  /** Files that are there and could not be read: what they say, containerd goes by, and we cannot. */
  readonly unread: readonly string[]
}

/** What the file at `path` and those it imports say of images; of a file that is not there, nothing. */
export function readImageSettings(path: string = CONFIG_FILE): ImageSettings {
  const { document, unread } = documentAt(path)
  const { plugins, disabled_plugins: disabled } = schema.parse(document)
  const images = plugins?.['io.containerd.cri.v1.images']
  const before = plugins?.['io.containerd.grpc.v1.cri'] ?? plugins?.cri
  const binDir = plugins?.[VERIFIER]?.bin_dir ?? VERIFIERS
  const snapshotter = images?.snapshotter ?? before?.containerd?.snapshotter
  const registry = images?.registry ?? before?.registry
  const sandboxImage = images?.pinned_images?.sandbox ?? before?.sandbox_image
  return {
    ...(snapshotter ? { snapshotter } : {}),
    ...(registry ? { registry } : {}),
    ...(sandboxImage ? { sandboxImage } : {}),
    file: path,
    snapshotters: snapshottersIn(images?.runtime_platforms ?? {}),
    unread,
    // An empty bin_dir switches them off, as does the plugin's name among the disabled.
    verifiers: binDir === '' || disabled?.includes(VERIFIER) === true ? [] : executablesIn(binDir),
  }
}

type Document = { readonly [key: string]: unknown }

/** The file with all it imports, what comes later laid over what came before. */
function documentAt(path: string): { readonly document: Document; readonly unread: readonly string[] } {
  const pending = [path]
  const read = new Set<string>()
  const unread: string[] = []
  let merged: Document = {}
  for (const file of pending) {
    if (read.has(file) || read.size === MAX_FILES) continue
    read.add(file)
    const found = parsedFile(file)
    if (found === undefined) unread.push(file)
    const document = found ?? {}
    merged = laidOver(merged, document)
    const { data: imports } = z.array(z.string()).safeParse(document.imports)
    pending.push(...(imports ?? (file === CONFIG_FILE ? [DROP_INS] : [])).flatMap((each) => filesBy(each, dirname(file))))
  }
  return { document: merged, unread }
}

/** A TOML file; one that is not there is empty, and one that is there and cannot be read undefined. */
export function parsedFile(path: string): Document | undefined {
  const read = readRegular(path, MAX_BYTES)
  if (read.kind === 'absent' || read.kind === 'dangling') return {}
  if (read.kind === 'refused') return undefined
  try {
    return parse(read.bytes.toString())
  } catch {
    return undefined
  }
}

const snapshottersIn = (platforms: Readonly<Record<string, { snapshotter?: string | null | undefined } | null | undefined>>) =>
  Object.fromEntries(
    Object.entries(platforms).flatMap(([handler, each]) => (each?.snapshotter ? [[handler, each.snapshotter]] : [])),
  )

const filesBy = (pattern: string, from: string): readonly string[] => globSync(resolve(from, pattern)).toSorted()

const isTable = (value: unknown): value is Document => typeof value === 'object' && value !== null && !Array.isArray(value)

function laidOver(below: Document, above: Document): Document {
  const merged = Object.entries(above).map(([key, value]) => {
    const under = below[key]
    return [key, isTable(value) && isTable(under) ? laidOver(under, value) : value] as const
  })
  return { ...below, ...Object.fromEntries(merged) }
}

function executablesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).filter((name) => isExecutable(join(dir, name)))
  } catch {
    return []
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
