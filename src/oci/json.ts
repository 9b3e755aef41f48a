/** JSON from strangers: UTF-8 without tolerance, an object at the top, and no key twice, because parsers differ in which one they take. */
import type { z } from 'zod'
import { fail } from '../failure/failure.ts'

/** Says what is being read and where it came from; both go into the failure. */
export type Source = { readonly what: string; readonly from: string }

/** Throws malformed for a document of `source`. */
export const malformed = ({ what, from }: Source, reason: string): never => fail({ kind: 'malformed', what, from, reason })

/** Parses a JSON object. Throws malformed. */
export function parseObject(bytes: Uint8Array, source: Source): Readonly<Record<string, unknown>> {
  const text = decode(bytes, source)
  const value = parse(text, source)
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return malformed(source, 'it is not a JSON object')
  const twice = duplicateKey(text)
  if (twice !== undefined) malformed(source, `the key ${JSON.stringify(twice)} is there twice`)
  return { ...value }
}

/** For what a schema, or whoever shows it as text, deals with next: no JSON is one more thing that does not fit. */
export function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Checks `value` against `schema`; malformed names the first field that breaks it. */
export function check<T extends z.ZodType>(schema: T, value: unknown, source: Source): z.output<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const field = issue?.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('') ?? ''
  return malformed(source, `${field === '' ? '' : `${field.replace(/^\./, '')}: `}${issue?.message ?? 'it breaks its schema'}`)
}

function decode(bytes: Uint8Array, source: Source): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return malformed(source, 'it is not UTF-8')
  }
}

function parse(text: string, source: Source): unknown {
  try {
    return JSON.parse(text)
  } catch {
    const start = text.trimStart().slice(0, 32)
    return malformed(source, `it is not JSON; it starts with ${JSON.stringify(start)}`)
  }
}

/** As Go's JSON compares the names of fields: without case, and `ſ` is an `s`, the Kelvin sign a `k`. */
export const folded = (key: string): string => key.toUpperCase().toLowerCase()

/** Fields of image documents that hold maps, in which case counts. */
const MAPS: ReadonlySet<string> = new Set(['annotations', 'labels', 'exposedports', 'volumes'])

/** The first key an object of this valid JSON text has twice, at any depth. One pass over the text. */
function duplicateKey(text: string): string | undefined {
  // One for each open object, undefined for each open array; a string is a key when it follows `{` or `,` of an object.
  const open: ({ readonly keys: Set<string>; readonly isMap: boolean } | undefined)[] = []
  let keyNext = false
  let lastKey = ''
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
        open.push({ keys: new Set(), isMap: MAPS.has(folded(lastKey)) })
        keyNext = true
        break
      case '[':
        open.push(undefined)
        lastKey = ''
        keyNext = false
        break
      case '}':
      case ']':
        open.pop()
        keyNext = false
        break
      case ',':
        keyNext = open.at(-1) !== undefined
        break
      case '"': {
        const end = endOfString(text, at)
        const inside = open.at(-1)
        if (keyNext && inside !== undefined) {
          // Two spellings of one key ("\u0061" and "a") are the same key.
          const key = String(JSON.parse(text.slice(at, end + 1)))
          const comparable = inside.isMap ? key : folded(key)
          if (inside.keys.has(comparable)) return key
          inside.keys.add(comparable)
          lastKey = key
        }
        keyNext = false
        at = end
      }
    }
  }
  return undefined
}

/** The position of the quote that closes the string opened at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"' || at >= text.length) return at
  }
}
