/** What a runtime that answers says of itself. Its configuration comes as JSON of its own shape, which differs between versions. */
import { basename } from 'node:path'
import { z } from 'zod'
import type { Connection } from '../rpc/client.ts'
import type { CallOptions } from '../rpc/services.ts'
import { type ImageSettings, lenient, readImageSettings } from './containerd-config.ts'
import { configFileOf } from './containerd-process.ts'
import { containerdRegistries, inlineTables } from './containerd-registries.ts'
import { crioObstacles } from './crio-config.ts'
import type { ContainerdRegistries, RuntimeAddress, RuntimeFacts } from './runtime.ts'

/** The one snapshotter whose snapshots are directories we can unpack into. */
const OVERLAYFS = 'overlayfs'

const text = lenient(z.string())
const table = lenient(z.record(z.string(), z.unknown()))

/** `info.config` of containerd's Status (1.6 and 1.7 whole; 2.x without most of what concerns images). */
const statusConfig = z.object({
  containerd: lenient(
    z.object({
      snapshotter: text,
      runtimes: lenient(z.record(z.string(), lenient(z.object({ snapshotter: text })))),
    }),
  ),
  registry: lenient(z.object({ configPath: text, mirrors: table, configs: table, auths: table, headers: table })),
  sandboxImage: text,
  containerdRootDir: text,
})
type StatusConfig = z.output<typeof statusConfig>

/** What is read beside: containerd's own files, and those that bind CRI-O. */
export type Files = { readonly containerd: (socket: string) => ImageSettings; readonly crio: () => readonly string[] }
const nothingSaid: ImageSettings = { file: '', verifiers: [], snapshotters: {}, unread: [] }
const files: Files = { containerd: (socket) => readImageSettings(configFileOf(socket)), crio: crioObstacles }

/** Asks the runtime. Rejects with RpcError where it does not answer. */
export async function inspectRuntime(
  { kind, socket }: RuntimeAddress,
  { runtime, image }: Pick<Connection, 'runtime' | 'image'>,
  options: CallOptions,
  { containerd: settings, crio }: Files = files,
): Promise<RuntimeFacts> {
  const { runtimeName: name, runtimeVersion: version } = await runtime.version({}, options)
  if (kind === 'crio') return { name, version, otherSnapshotters: new Map(), obstacles: crio() }
  const { info } = await runtime.status({ verbose: true }, options)
  const config = configIn(info.config)
  const { imageFilesystems } = await image.imageFsInfo({}, options)
  const tables = inlineTables(config.registry)
  // Before 2.0 Status says it all; what it says of registries is better read where it was written.
  const read = isSinceTwo(version) || tables.length > 0 ? settings(socket) : nothingSaid
  const file = isSinceTwo(version) ? read : nothingSaid
  // The image file system is the default snapshotter's directory, whatever the version: io.containerd.snapshotter.v1.NAME.
  const root = basename(imageFilesystems[0]?.fsId?.mountpoint ?? '')
  const snapshotter =
    config.containerd?.snapshotter ?? /^io\.containerd\.snapshotter\.v1\.(.+)$/.exec(root)?.[1] ?? file.snapshotter
  const sandboxImage = config.sandboxImage ?? file.sandboxImage
  const hostsDir = config.registry?.configPath ?? file.registry?.config_path
  const written = inlineTables(read.registry)
  const inline = [...new Set([...tables, ...written])]
  // What runs may have been started with another file than is there now: then nothing of it is taken for known.
  const isWhole = inline.length > 0 && inline.length === written.length
  const registries = isWhole && read.registry ? containerdRegistries(read.registry, read.file) : undefined
  return {
    name,
    version,
    ...(snapshotter === undefined ? {} : { snapshotter }),
    otherSnapshotters: otherSnapshotters(config, file, snapshotter),
    ...(config.containerdRootDir ? { rootDir: config.containerdRootDir } : {}),
    ...(sandboxImage ? { sandboxImage } : {}),
    ...(hostsDir ? { hostsDir } : {}),
    ...(registries === undefined ? {} : { registries }),
    obstacles: [...obstaclesOf(file, snapshotter), ...registryObstacles(inline, registries)],
  }
}

function configIn(json: string | undefined): StatusConfig {
  try {
    return statusConfig.catch({}).parse(JSON.parse(json ?? '{}'))
  } catch {
    return {}
  }
}

const isSinceTwo = (version: string): boolean => Number(/^v?(\d+)\./.exec(version)?.[1] ?? 0) >= 2

function otherSnapshotters(config: StatusConfig, file: ImageSettings, own: string | undefined): ReadonlyMap<string, string> {
  const runtimes = Object.entries(config.containerd?.runtimes ?? {})
  const said = runtimes.flatMap(([name, each]) => (each?.snapshotter ? [[name, each.snapshotter] as const] : []))
  return new Map([...said, ...Object.entries(file.snapshotters)].filter(([, snapshotter]) => snapshotter !== own))
}

/** What of containerd's own way of pulling ours would leave out. */
function obstaclesOf(file: ImageSettings, snapshotter: string | undefined): readonly string[] {
  return [
    ...(snapshotter === OVERLAYFS
      ? []
      : [`its default snapshotter is ${snapshotter ?? 'unknown'}; images can be landed in ${OVERLAYFS} only`]),
    ...file.unread.map((path) => `its configuration ${path} cannot be read here, so what it asks of a pull is not known`),
    ...(file.verifiers.length === 0 ? [] : [`it asks image verifiers before it pulls (${file.verifiers.join(', ')})`]),
  ]
}

/** `said` are the tables it has; `read` is what could be made of them. */
function registryObstacles(said: readonly string[], read: ContainerdRegistries | undefined): readonly string[] {
  if (said.length > 0 && read === undefined)
    return [`its configuration has ${said.join(', ')}, which cannot be read here; move them to hosts.toml files`]
  return []
}
