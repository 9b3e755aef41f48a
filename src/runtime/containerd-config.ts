/**
 * containerd's own configuration file, for what its CRI plugin no longer tells since 2.0: how images are pulled. Read leniently, because
 * it is another program's: what is not as expected counts as not said.
 */
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { z } from 'zod'

export const CONFIG_FILE = '/etc/containerd/config.toml'
const MAX_BYTES = 2 ** 20
/** Where verifiers are looked for unless the file says otherwise. */
const VERIFIERS = '/opt/containerd/image-verifier/bin'

/** Anything that is not of this shape is as if it were not there. */
export const lenient = <T extends z.ZodType>(schema: T) => schema.nullish().catch(undefined)
const text = lenient(z.string())
const table = lenient(z.record(z.string(), z.unknown()))

const registrySchema = z.object({ config_path: text, mirrors: table, configs: table, auths: table })
type RegistrySettings = z.output<typeof registrySchema>

const schema = z.object({
  plugins: lenient(
    z.object({
      'io.containerd.cri.v1.images': lenient(
        z.object({ snapshotter: text, registry: lenient(registrySchema), pinned_images: lenient(z.object({ sandbox: text })) }),
      ),
      'io.containerd.image-verifier.v1.bindir': lenient(z.object({ bin_dir: text })),
    }),
  ),
})

export type ImageSettings = {
  readonly registry?: RegistrySettings
  readonly sandboxImage?: string
  /** Programs that containerd asks before it pulls. */
  readonly verifiers: readonly string[]
}

/** What the file at `path` says of images; of a file that is not there, nothing. */
export function readImageSettings(path: string = CONFIG_FILE): ImageSettings {
  const { plugins } = schema.parse(documentAt(path))
  const images = plugins?.['io.containerd.cri.v1.images']
  const binDir = plugins?.['io.containerd.image-verifier.v1.bindir']?.bin_dir ?? VERIFIERS
  const sandboxImage = images?.pinned_images?.sandbox
  return {
    ...(images?.registry ? { registry: images.registry } : {}),
    ...(sandboxImage ? { sandboxImage } : {}),
    verifiers: executablesIn(binDir),
  }
}

function documentAt(path: string): unknown {
  try {
    const bytes = readFileSync(path)
    return bytes.length > MAX_BYTES ? {} : parse(bytes.toString('utf8'))
  } catch {
    // Not there, or containerd itself would not start with it.
    return {}
  }
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
