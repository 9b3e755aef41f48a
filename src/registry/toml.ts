/** TOML of a node's configuration. What is wrong in it is told with its place, and without its text, which may be a secret. */
import { parse, TomlError } from 'smol-toml'
import type { z } from 'zod'
import { fail } from '../failure/failure.ts'

export type Path = readonly PropertyKey[]

/** What the text says, by the schema. `lineOf` finds what a schema knows by its path alone. Throws bad-config. */
export function readToml<S extends z.ZodType>(
  schema: S,
  text: string,
  file: string,
  lineOf: (text: string, path: Path) => number | undefined,
): z.output<S> {
  const read = schema.safeParse(tables(text, file))
  if (read.success) return read.data
  const [issue] = read.error.issues
  const path = issue?.path ?? []
  const line = lineOf(text, path)
  return fail({
    kind: 'bad-config',
    file,
    ...(line === undefined ? {} : { line }),
    ...(path.length === 0 ? {} : { field: fieldOf(path) }),
    reason: issue?.message ?? 'it is not of the shape it must have',
  })
}

/** Throws bad-config where it is no TOML. */
export function tables(text: string, file: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // Not with its cause, which quotes the lines around.
    return fail({ kind: 'bad-config', file, line: error.line, reason: error.message.split('\n', 1)[0] ?? 'is not TOML' })
  }
}

/** Addresses are keys here, and may hold a login. */
export const fieldOf = (path: Path): string =>
  path.map((part) => String(part).replace(/^(https?:\/\/)?[^/]*@/i, '$1***@')).join('.')
