/**
 * The files by which CRI-O decides whether and from where an image may come (containers-policy.json(5), containers-registries.conf(5)).
 * Our way of pulling knows neither, so where they say anything, pulls stay CRI-O's.
 */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { readRegular } from '../sys/regular.ts'

/** The distributions' lists of short names have some 20 KiB. */
const MAX_BYTES = 2 ** 20

const requirements = z.array(z.object({ type: z.string() }))
const policySchema = z.object({
  default: requirements,
  transports: z.record(z.string(), z.record(z.string(), requirements)).default({}),
})
const registriesSchema = z.object({
  registry: z
    .array(
      z.object({
        location: z.string().optional(),
        prefix: z.string().optional(),
        blocked: z.boolean().default(false),
        mirror: z.array(z.unknown()).default([]),
      }),
    )
    .default([]),
})

/** One sentence for each; `etc` is where containers' files are. */
export function crioObstacles(etc = '/etc/containers'): readonly string[] {
  return [...policyObstacles(join(etc, 'policy.json')), ...registryObstacles(etc)]
}

function policyObstacles(path: string): readonly string[] {
  const content = contentOf(path, JSON.parse)
  // Without the file CRI-O pulls nothing.
  if (content === undefined) return []
  const policy = policySchema.safeParse(content)
  if (!policy.success) return [`${path} cannot be read as a signature policy`]
  const scopes = Object.values(policy.data.transports).flatMap((each) => Object.values(each))
  const isOpen = [policy.data.default, ...scopes].every((all) => all.every(({ type }) => type === 'insecureAcceptAnything'))
  return isOpen ? [] : [`${path} wants signatures, or refuses images; only the runtime looks at those`]
}

function registryObstacles(etc: string): readonly string[] {
  const files = [join(etc, 'registries.conf'), ...globSync(join(etc, 'registries.conf.d', '*.conf')).toSorted()]
  return files.flatMap((path) => {
    const content = contentOf(path, parse)
    if (content === undefined) return []
    const registries = registriesSchema.safeParse(content)
    if (!registries.success) return [`${path} cannot be read`]
    const special = registries.data.registry.filter(
      ({ blocked, mirror, location, prefix }) =>
        blocked || mirror.length > 0 || (prefix !== undefined && location !== undefined && prefix !== location),
    )
    if (special.length === 0) return []
    const named = special.map(({ prefix, location }) => prefix ?? location ?? '?').join(', ')
    return [`${path} blocks, mirrors or moves ${named}, which only the runtime reads; mirrors can be moved to hosts.toml files`]
  })
}

/** Undefined where there is no file; null, which is none of what is looked for, where what is there cannot be read. */
function contentOf(path: string, parsed: (text: string) => unknown): unknown {
  const read = readRegular(path, MAX_BYTES)
  if (read.kind === 'absent' || read.kind === 'dangling') return undefined
  try {
    return read.kind === 'read' ? parsed(read.bytes.toString()) : null
  } catch {
    return null
  }
}
