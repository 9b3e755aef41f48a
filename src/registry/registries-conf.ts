/**
 * Reads registries.conf, version 2, and the files of its drop-in directory (containers-registries.conf(5)), as CRI-O and podman do: a
 * later file's entry for a prefix replaces an earlier one whole. By short names and their aliases nothing is pulled here: they are read for
 * whoever says so.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { fail } from '../failure/failure.ts'
import { ifAbsent, readSmall } from './bounded.ts'
import { readToml, tables } from './toml.ts'

export type Endpoint = { readonly location: string; readonly insecure: boolean }

export type RegistryEntry = {
  /** `host`, `host/path…`, or `*.domain`. */
  readonly prefix: string
  readonly blocked: boolean
  /** In their order, each for references by digest, by tag, or both. */
  readonly mirrors: readonly (Endpoint & { readonly pulls: 'all' | 'digest-only' | 'tag-only' })[]
  /** The registry itself. Empty: what the reference names. */
  readonly own: Endpoint
  readonly file: string
}

/** Where names without a registry are looked for, one after the other, and what some of them stand for. */
export type ShortNames = { readonly search: readonly string[]; readonly aliases: Readonly<Record<string, string>> }

const MAX_DROP_INS = 200

const location = z.string().transform((text, context) => {
  // As c/image does: slashes at the end say nothing.
  const trimmed = text.replace(/\/+$/, '')
  if (trimmed !== '' && !/[\s@]|:\/\//.test(trimmed)) return trimmed
  context.addIssue({ code: 'custom', message: 'want a location such as registry.example:5000/path, without a scheme' })
  return z.NEVER
})
const pulls = z.enum(['', 'all', 'digest-only', 'tag-only'], 'want all, digest-only or tag-only')
const mirrorSchema = z.object({ location, insecure: z.boolean().default(false), 'pull-from-mirror': pulls.default('') })
const registrySchema = z
  .object({
    prefix: z.string().optional(),
    location: location.or(z.literal('')).optional(),
    insecure: z.boolean().default(false),
    blocked: z.boolean().default(false),
    'mirror-by-digest-only': z.boolean().default(false),
    mirror: z.array(mirrorSchema).default([]),
  })
  .superRefine((entry, context) => {
    const { prefix = '', location = '', mirror } = entry
    const refuse = (message: string): void => context.addIssue({ code: 'custom', message })
    if (prefix === '' && location === '') refuse('an entry has a prefix or a location')
    if (prefix.includes('*') && !/^\*\.[^*/]+$/.test(prefix))
      refuse(`the prefix ${prefix} has a wildcard elsewhere than in "*.domain"`)
    if (location === '' && prefix !== '' && !prefix.startsWith('*.')) refuse(`the prefix ${prefix} has no location`)
    if (entry['mirror-by-digest-only'] && mirror.some((each) => each['pull-from-mirror'] !== ''))
      refuse('mirror-by-digest-only and pull-from-mirror exclude each other')
  })
const fileSchema = z.object({
  registry: z.array(registrySchema).default([]),
  registries: z
    .undefined('version 1 of this format ([registries.search] and such) is not read; write [[registry]] tables')
    .optional(),
})
const shortNamesSchema = z.object({
  'unqualified-search-registries': z.array(z.string()).optional().catch(undefined),
  aliases: z.record(z.string(), z.string()).catch({}),
})

/** Throws bad-config with file and line. */
export async function readRegistriesConf(file: string): Promise<readonly RegistryEntry[]> {
  const entries = new Map<string, RegistryEntry>()
  for (const { path, text } of await filesOf(file))
    for (const entry of parseRegistriesConf(text, path)) entries.set(entry.prefix, entry)
  return [...entries.values()]
}

/** Throws bad-config where a file is no TOML; what is no list of names there is none. */
export async function readShortNames(file: string): Promise<ShortNames> {
  let all: ShortNames = { search: [], aliases: {} }
  for (const { path, text } of await filesOf(file)) {
    const { aliases, 'unqualified-search-registries': search = all.search } = shortNamesSchema.parse(tables(text, path))
    all = { search, aliases: { ...all.aliases, ...aliases } }
  }
  return all
}

async function filesOf(file: string): Promise<readonly { readonly path: string; readonly text: string }[]> {
  const paths = [file, ...(await dropIns(`${file}.d`))]
  return paths.flatMap((path) => {
    const text = readSmall(path)
    return text === undefined ? [] : [{ path, text }]
  })
}

async function dropIns(dir: string): Promise<readonly string[]> {
  const names = await readdir(dir).catch(ifAbsent([]))
  const files = names.filter((name) => name.endsWith('.conf')).toSorted()
  if (files.length > MAX_DROP_INS) fail({ kind: 'bad-config', file: dir, reason: `more than ${MAX_DROP_INS} files` })
  return files.map((name) => join(dir, name))
}

function parseRegistriesConf(text: string, file: string): readonly RegistryEntry[] {
  return readToml(fileSchema, text, file, lineOf).registry.map((entry) => {
    const { location = '', insecure, blocked, mirror } = entry
    const byDigest = entry['mirror-by-digest-only']
    return {
      prefix: entry.prefix?.replace(/\/+$/, '') || location,
      blocked,
      mirrors: mirror.map((each) => ({
        location: each.location,
        insecure: each.insecure,
        pulls: byDigest ? ('digest-only' as const) : each['pull-from-mirror'] || ('all' as const),
      })),
      own: { location, insecure },
      file,
    }
  })
}

/** The line of a key, found by counting the tables of its kind, or of its table where it is none of one. */
function lineOf(text: string, path: readonly PropertyKey[]): number | undefined {
  const [table, at, inner, innerAt, key] = path
  if (table !== 'registry') return headerLine(text, /^\s*\[+registries/)
  const isMirror = inner === 'mirror'
  const wanted = { registry: Number(at), mirror: isMirror ? Number(innerAt) : -1, key: isMirror ? key : inner }
  const here = { registry: -1, mirror: -1 }
  let header: number | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*\[\[registry\]\]/.test(line)) Object.assign(here, { registry: here.registry + 1, mirror: -1 })
    else if (/^\s*\[\[registry\.mirror\]\]/.test(line)) here.mirror++
    if (here.registry !== wanted.registry || here.mirror !== wanted.mirror) continue
    header ??= index + 1
    if (/^\s*"?([\w-]+)"?\s*=/.exec(line)?.[1] === wanted.key) return index + 1
  }
  return header
}

function headerLine(text: string, header: RegExp): number | undefined {
  const at = text.split('\n').findIndex((line) => header.test(line))
  return at === -1 ? undefined : at + 1
}
