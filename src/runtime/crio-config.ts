/**
 * The files by which CRI-O decides whether and from where an image may come (containers-policy.json(5), containers-registries.conf(5)).
 * Our way of pulling knows neither, so where they say anything, pulls stay CRI-O's.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { z } from 'zod'

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
  const text = textOf(path)
  // Without the file CRI-O pulls nothing.
  if (text === undefined) return []
  const policy = policySchema.safeParse(jsonOf(text))
  if (!policy.success) return [`${path} cannot be read as a signature policy`]
  const scopes = Object.values(policy.data.transports).flatMap((each) => Object.values(each))
  const isOpen = [policy.data.default, ...scopes].every((all) => all.every(({ type }) => type === 'insecureAcceptAnything'))
  return isOpen ? [] : [`${path} wants signatures, or refuses images; only the runtime looks at those`]
}

function registryObstacles(etc: string): readonly string[] {
  const files = [join(etc, 'registries.conf'), ...globSync(join(etc, 'registries.conf.d', '*.conf')).toSorted()]
  return files.flatMap((path) => {
    const text = textOf(path)
    if (text === undefined) return []
    const registries = registriesSchema.safeParse(tomlOf(text))
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

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function tomlOf(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}
