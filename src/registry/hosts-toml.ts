/**
 * Reads one `hosts.toml` (containerd, docs/hosts.md). A file that does not say what it must is a `bad-config` with its line: pulling
 * from somewhere else than the node's owner wrote down is the one thing that must not happen quietly.
 */
import { z } from 'zod'
import { nearest } from '../failure/nearest.ts'
import { fieldOf, type Path, readToml, tables } from './toml.ts'

export type Capability = 'pull' | 'resolve' | 'push' | 'referrers'

/** A PEM file with a certificate, and the file with its key where that is another one. */
export type ClientFiles = { readonly cert: string; readonly key: string }

/** What may be said of one host, file paths as written. */
export type HostFields = {
  readonly capabilities?: readonly Capability[]
  readonly ca: readonly string[]
  readonly client: readonly ClientFiles[]
  readonly skipVerify: boolean
  readonly overridePath: boolean
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly dialTimeoutMs?: number
}

/** A key that nobody knows: containerd passes it over, and so do we, but whoever wrote it meant something by it. */
export type UnknownKey = { readonly key: string; readonly line?: number; readonly meant?: string }

export type HostsFile = {
  /** The root fields: they belong to `server`, or to the registry itself where there is none. */
  readonly server: string | undefined
  readonly root: HostFields
  /** The mirrors, in the order of the file. */
  readonly hosts: readonly { readonly url: string; readonly fields: HostFields }[]
  readonly unknown: readonly UnknownKey[]
}

const list = <T extends z.ZodType>(item: T) => z.union([item.transform((one) => [one]), z.array(item)])

const UNITS = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

/** What a timer can wait for, which is more than anybody does: longer, it would be over at once. */
const LONGEST_MS = 2 ** 31 - 1

const duration = z.string().transform((text, context) => {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/gy)]
  if (text === '' || parts.map(([part]) => part).join('') !== text) {
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not a duration such as "30s"` })
    return z.NEVER
  }
  const sum = parts.reduce((before, [, count, unit]) => before + Number(count) * UNITS[unit as keyof typeof UNITS], 0)
  return Math.min(sum, LONGEST_MS)
})

const clientFiles = z.union([
  z.string().transform((file): ClientFiles => ({ cert: file, key: file })),
  z.tuple([z.string(), z.string()]).transform(([cert, key]): ClientFiles => ({ cert, key: key === '' ? cert : key })),
])

/** RFC 9110 §5.1 and §5.5: what else is in them, a line end above all, no request can carry. */
const headerName = z.string().regex(/^[!#$%&'*+.^_`|~\w-]+$/, 'is not a name of a header')
const headerValue = z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'holds what a header cannot, such as a line end')

const fieldsShape = {
  capabilities: z.array(z.enum(['pull', 'resolve', 'push', 'referrers'])).optional(),
  ca: list(z.string()).default([]),
  client: z.union([z.string().transform((file) => [{ cert: file, key: file }]), z.array(clientFiles)]).default([]),
  skip_verify: z.boolean().default(false),
  override_path: z.boolean().default(false),
  header: z.record(headerName, list(headerValue)).default({}),
  dial_timeout: duration.optional(),
}

const url = z.string().refine((text) => URL.canParse(withScheme(text)), { message: 'is not a URL' })
const hostSchema = z.object(fieldsShape)
const fileSchema = z.object({ ...fieldsShape, server: url.optional(), host: z.record(url, hostSchema).default({}) })

/** `https://` where no scheme is written. */
export const withScheme = (text: string): string => (/^https?:\/\//i.test(text) ? text : `https://${text}`)

/** What the text of a file says; relative paths in it are left as they are. Throws bad-config. */
export function parseHostsToml(text: string, file: string): HostsFile {
  const { server, host, ...root } = readToml(fileSchema, text, file, lineOf)
  return {
    server,
    root: fieldsOf(root),
    hosts: Object.entries(host).map(([address, fields]) => ({ url: address, fields: fieldsOf(fields) })),
    unknown: unknownKeys(text, file),
  }
}

const plainSchema = z.looseObject({ host: z.record(z.string(), z.looseObject({})).default({}) })

/** Of a file that parses. */
function unknownKeys(text: string, file: string): readonly UnknownKey[] {
  const { host, ...root } = plainSchema.parse(tables(text, file))
  const unknownIn = (table: object, known: readonly string[], path: Path): readonly UnknownKey[] =>
    Object.keys(table)
      .filter((key) => !known.includes(key))
      .map((key) => {
        const [line, meant] = [lineOfKey(text, [...path, key]), nearest(key, known)]
        return {
          key: fieldOf([...path, key]),
          ...(line === undefined ? {} : { line }),
          ...(meant === undefined ? {} : { meant }),
        }
      })
  return [
    ...unknownIn(root, Object.keys(fileSchema.shape), []),
    ...Object.entries(host).flatMap(([address, table]) => unknownIn(table, Object.keys(fieldsShape), ['host', address])),
  ]
}

/** Of a key, or of the first table that has its name. */
function lineOfKey(text: string, path: Path): number | undefined {
  const table = text
    .split('\n')
    .findIndex((line) => /^\s*\[/.test(line) && line.split(/[[\].\s"']+/).includes(String(path.at(-1))))
  return table === -1 ? lineOf(text, path) : table + 1
}

function fieldsOf(fields: z.output<typeof hostSchema>): HostFields {
  return {
    ...(fields.capabilities === undefined ? {} : { capabilities: fields.capabilities }),
    ca: fields.ca,
    client: fields.client,
    skipVerify: fields.skip_verify,
    overridePath: fields.override_path,
    headers: Object.fromEntries(Object.entries(fields.header).map(([name, value]) => [name.toLowerCase(), value])),
    ...(fields.dial_timeout === undefined ? {} : { dialTimeoutMs: fields.dial_timeout }),
  }
}

/** The line a value stands on, found by its table and key: a schema knows paths, not lines. */
function lineOf(text: string, path: Path): number | undefined {
  const [table, address, field] = path[0] === 'host' ? ['host', path[1], path[2]] : [undefined, undefined, path[0]]
  let inside = table === undefined
  let header: number | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*\[[^,=]*\]\s*(#.*)?$/.test(line)) {
      inside = table === undefined ? false : line.includes(String(address))
      if (inside) header ??= index + 1
    }
    const key = /^\s*"?([\w-]+)"?\s*=/.exec(line)?.[1]
    if (inside && key !== undefined && key === field) return index + 1
  }
  return header
}
