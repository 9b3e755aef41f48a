/** Reads the configuration file and says, for whatever is wrong with it, on which line and in which field. */
import type { Document, YAMLError } from 'yaml'
import { isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { fail, failureOf } from '../failure/failure.ts'
import { readRegular } from '../sys/regular.ts'
import { nearest } from './nearest.ts'
import type { Configuration } from './schema.ts'
import { API_VERSION, configurationSchema, withoutEffect } from './schema.ts'

/** All keys with their comments take a tenth of it. */
const MAX_FILE_BYTES = 64 * 1024

/** Duplicate keys are looked for here: the parser compares each key with every other, a minute for half a megabyte. */
const PARSING = { prettyErrors: false, uniqueKeys: false } as const

/** One thing that is wrong. */
type Problem = { readonly line?: number; readonly field?: string; readonly reason: string }

/** More of them help nobody. */
const MAX_PROBLEMS = 50

/** The checked WindlassConfiguration of a file, and what in the file has no effect. Throws bad-config, with all that is wrong. */
export function readDocument(file: string): { configuration: Configuration; warnings: string[] } {
  const lines = new LineCounter()
  const text = readText(file)
  // Kubernetes speaks YAML 1.2 core here: no aliases blown up, no tags run.
  const documents = parseAllDocuments(text, { ...PARSING, lineCounter: lines, logLevel: 'error' })
  const found: Configuration[] = []
  const warnings: string[] = []
  const problems: Problem[] = []
  let isTaken = false
  for (const document of Array.isArray(documents) ? documents : []) {
    const wrong = [...syntaxProblems(document, lines, text), ...headProblems(document, lines)]
    problems.push(...wrong)
    if (wrong.length > 0 || isEmpty(document)) continue
    if (document.get('kind') === 'ImageList') warnings.push('ImageList: not used yet; no list is pulled in this version')
    else if (isTaken) problems.push(problem(document, ['kind'], lines, 'a file holds one WindlassConfiguration'))
    else {
      isTaken = true
      const checked = check(document, lines)
      if (Array.isArray(checked)) problems.push(...checked)
      else found.push(checked)
    }
  }
  const [first, ...more] = problems
  if (first !== undefined) {
    const rest = more.slice(0, MAX_PROBLEMS)
    fail({ kind: 'bad-config', file, ...first, ...(rest.length === 0 ? {} : { more: rest }) })
  }
  const [configuration] = found
  if (configuration === undefined) fail({ kind: 'bad-config', file, reason: 'there is no WindlassConfiguration document in it' })
  return { configuration, warnings: [...withoutEffect(configuration), ...warnings] }
}

/**
 * What makes sense in a file that `readDocument` refuses, and as much of it as can be read where it is no YAML: each setting that is
 * wrong is left out alone, the others hold.
 */
export function salvageDocument(file: string): Configuration {
  let text: string
  try {
    text = readText(file)
  } catch (error) {
    if (failureOf(error).kind !== 'bad-config') throw error
    return nothing
  }
  const documents = parseAllDocuments(text, { ...PARSING, logLevel: 'silent' })
  for (const document of Array.isArray(documents) ? documents : []) {
    if (!isMap(document.contents) || document.get('kind') === 'ImageList') continue
    const plain = plainValue(document)?.value
    if (isRecord(plain)) return salvage({ ...plain, ...nothing })
  }
  return nothing
}

const nothing = { apiVersion: API_VERSION, kind: 'WindlassConfiguration' } as const

/** Takes away what is wrong until the rest is right. */
function salvage(given: Record<string, unknown>): Configuration {
  const result = configurationSchema.safeParse(given)
  if (result.success) return result.data
  const rest = structuredClone(given)
  const wrong = result.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path],
  )
  const dropped = wrong.map((path) => drop(rest, path))
  return dropped.includes(true) ? salvage(rest) : nothing
}

/** Takes the value at `path` away, if it is there; of a list the whole, because half a list says something else. */
function drop(from: Record<string, unknown>, [first, ...rest]: readonly PropertyKey[]): boolean {
  const key = String(first)
  if (!Object.hasOwn(from, key)) return false
  const value = from[key]
  if (rest.length > 0 && isRecord(value)) return drop(value, rest)
  delete from[key]
  return true
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isEmpty = ({ contents }: Document): boolean => contents === null || (isScalar(contents) && contents.value === null)

function readText(file: string): string {
  const read = readRegular(file, MAX_FILE_BYTES)
  if (read.kind === 'absent')
    fail({ kind: 'bad-config', file, reason: 'there is no such file; windlass config > FILE makes one' })
  if (read.kind !== 'read') fail({ kind: 'bad-config', file, reason: read.reason })
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(read.bytes)
  } catch (error) {
    return fail({ kind: 'bad-config', file, reason: 'it is not UTF-8 text' }, error)
  }
}

/** What a person is most likely to have done, where the parser's own words need its grammar. */
const YAML_WORDS: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_INDENT: 'the indentation is not that of its neighbours, or a bracket above is not closed',
  TAB_AS_INDENT: 'a tab indents this line; use spaces',
}

/** The first of a document: what a parser says after it went astray helps nobody. */
function syntaxProblems(document: Document, lines: LineCounter, text: string): Problem[] {
  const [first] = [...document.errors, ...document.warnings]
  const at = first === undefined ? repeatedKey(document) : first.pos[0]
  if (at === undefined) return []
  const what = first === undefined ? 'this key is there already' : (YAML_WORDS[first.code] ?? first.message)
  const { line, col } = lines.linePos(at)
  // The address of a proxy may hold a login.
  const shown = (text.split('\n')[line - 1] ?? '')
    .slice(0, 200)
    .replace(/\/\/[^/\s]*@/g, '//***@')
    .trim()
  return [{ line, reason: `${what}, at column ${col} of ${JSON.stringify(shown)}` }]
}

/** Where the first key stands that is in its mapping already (YAML 1.2.2, 3.2.1.1: keys are unique). */
function repeatedKey({ contents }: Document): number | undefined {
  const repeated: number[] = []
  const pending: unknown[] = [contents]
  for (const node of pending) {
    if (isSeq(node)) for (const item of node.items) pending.push(item)
    if (!isMap(node)) continue
    const keys = new Set<unknown>()
    for (const { key, value } of node.items) {
      if (isScalar(key) && keys.has(key.value)) repeated.push(key.range?.[0] ?? 0)
      if (isScalar(key)) keys.add(key.value)
      pending.push(key, value)
    }
  }
  return repeated.length === 0 ? undefined : Math.min(...repeated)
}

/** What every document must say of itself. */
const HEAD = [
  ['apiVersion', [API_VERSION]],
  ['kind', ['WindlassConfiguration', 'ImageList']],
] as const

function headProblems(document: Document, lines: LineCounter): Problem[] {
  if (document.errors.length > 0 || isEmpty(document)) return []
  if (!isMap(document.contents)) return [problem(document, [], lines, 'want a mapping with apiVersion and kind')]
  return HEAD.flatMap(([field, wanted]) => {
    const value = document.get(field)
    const isRight = typeof value === 'string' && wanted.some((one) => one === value)
    return isRight ? [] : [problem(document, [field], lines, `want ${wanted.join(' or ')}`)]
  })
}

function check(document: Document, lines: LineCounter): Configuration | Problem[] {
  const plain = plainValue(document)
  if (plain === undefined) return [problem(document, [], lines, 'its aliases or merge keys cannot be resolved')]
  const result = configurationSchema.safeParse(plain.value)
  if (result.success) return result.data
  return result.error.issues
    .flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => problem(document, [...issue.path, key], lines, unknownKey(key, issue.path)))
        : [problem(document, issue.path, lines, sentence(issue))],
    )
    .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
}

/** The document without YAML around it; undefined where its aliases would blow it up. */
function plainValue(document: Document): { readonly value: unknown } | undefined {
  try {
    return { value: document.toJS({ maxAliasCount: 100 }) }
  } catch {
    // Whatever a merge key or an alias makes the parser say: the file is at fault.
    return undefined
  }
}

function unknownKey(key: string, path: readonly PropertyKey[]): string {
  const meant = nearest(key, keysAt(path))
  return meant === undefined ? 'unknown key' : `unknown key; perhaps ${meant} is meant`
}

/** The keys that may stand at a path of the file. */
function keysAt(path: readonly PropertyKey[]): readonly string[] {
  let schema: unknown = configurationSchema
  for (const step of [...path, undefined]) {
    while (schema instanceof z.ZodOptional) schema = schema.unwrap()
    if (schema instanceof z.ZodArray) schema = schema.element
    else if (step === undefined) break
    else schema = schema instanceof z.ZodObject ? schema.shape[String(step)] : undefined
  }
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
}

const sentence = (issue: z.core.$ZodIssue): string =>
  issue.message.replace(/^Invalid (input|option): /, 'want ').replace('want expected', 'want')

/** The line of a value, or of its key, or of the nearest thing around it that has one. */
function lineOf(document: Document, path: readonly PropertyKey[], lines: LineCounter): number | undefined {
  for (let depth = path.length; depth >= 0; depth--) {
    const parent = depth === 0 ? document.contents : document.getIn(path.slice(0, depth - 1), true)
    if (depth === 0) return rangeLine(parent, lines)
    if (!isMap(parent)) continue
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === path[depth - 1])
    if (pair !== undefined) return rangeLine(pair.key, lines)
  }
  return undefined
}

function rangeLine(node: unknown, lines: LineCounter): number | undefined {
  return isNode(node) && node.range ? lines.linePos(node.range[0]).line : undefined
}

function problem(document: Document, path: readonly PropertyKey[], lines: LineCounter, reason: string): Problem {
  const line = lineOf(document, path, lines)
  const field = path.join('.')
  return { reason, ...(line === undefined ? {} : { line }), ...(field === '' ? {} : { field }) }
}
