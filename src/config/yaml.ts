/** Kubernetes-style YAML files, read so that whatever is wrong with one is told with its line and field. */
import type { Document, YAMLError } from 'yaml'
import { isMap, isNode, isScalar, isSeq, Lexer, LineCounter, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { fail } from '../failure/failure.ts'
import { nearest } from '../failure/nearest.ts'
import { readRegular } from '../sys/regular.ts'
import { API_VERSION } from './schema.ts'

/** Duplicate keys are looked for here: the parser compares each key with every other, a minute for half a megabyte. */
const PARSING = { prettyErrors: false, uniqueKeys: false } as const

/** One thing that is wrong. */
export type Problem = { readonly line?: number; readonly field?: string; readonly reason: string }

/** More of them help nobody. */
const MAX_PROBLEMS = 50

/** What a megabyte can hold of them takes the parser seconds and a gigabyte; no file that people write comes near. */
const MOST = { depth: 100, documents: 1_000, marks: 1_000 }

/** The documents of a text, and where their lines are. Kubernetes speaks YAML 1.2 core here: no aliases blown up, no tags run. */
export function documentsIn(text: string): { readonly documents: readonly Document[]; readonly lines: LineCounter } {
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, { ...PARSING, lineCounter: lines, logLevel: 'error' })
  return { documents: Array.isArray(documents) ? documents : [], lines }
}

/** The same of a text that is known to be wrong, as far as it can be read. */
export function remainsOf(text: string): readonly Document[] {
  const documents = parseAllDocuments(text, { ...PARSING, logLevel: 'silent' })
  return Array.isArray(documents) ? documents : []
}

/** Throws bad-config with all that is wrong; does nothing where nothing is. */
export function failWith(file: string, [first, ...more]: readonly Problem[]): void {
  if (first === undefined) return
  const rest = more.slice(0, MAX_PROBLEMS)
  fail({ kind: 'bad-config', file, ...first, ...(rest.length === 0 ? {} : { more: rest }) })
}

/** No more of them would be told. */
export const isEnough = (problems: readonly Problem[]): boolean => problems.length > MAX_PROBLEMS

export const isEmpty = ({ contents }: Document): boolean => contents === null || (isScalar(contents) && contents.value === null)

/** Throws bad-config; `absent` is what is said where there is no such file. */
export function readText(file: string, { maxBytes, absent }: { readonly maxBytes: number; readonly absent: string }): string {
  const read = readRegular(file, maxBytes)
  if (read.kind === 'absent') fail({ kind: 'bad-config', file, reason: absent })
  if (read.kind !== 'read') fail({ kind: 'bad-config', file, reason: read.reason })
  const text = decode(read.bytes, file)
  const reason = excessOf(text)
  return reason === undefined ? text : fail({ kind: 'bad-config', file, reason })
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    return fail({ kind: 'bad-config', file, reason: 'it is not UTF-8 text' }, error)
  }
}

/** What there is too much of, seen before anything is built of it. */
function excessOf(text: string): string | undefined {
  let [depth, onLine, documents, marks] = [0, 0, 0, 0]
  let isScalar = false
  for (const token of new Lexer().lex(text)) {
    // A scalar is announced, and may look like anything.
    if (isScalar || token === SCALAR) {
      isScalar = token === SCALAR
      continue
    }
    if (token === '[' || token === '{') depth++
    else if (token === ']' || token === '}') depth--
    else if (token === FLOW_CUT) depth = 0
    else if (/^\r?\n/.test(token)) onLine = 0
    else if (depth <= 0 && /^[-?:]$/.test(token)) onLine++
    else if (token === '---') documents++
    else if (/^[!&%]/.test(token)) marks++
    if (Math.max(depth, onLine) > MOST.depth) return `it nests deeper than ${MOST.depth} levels`
    if (documents > MOST.documents) return `it has more than ${MOST.documents} documents`
    if (marks > MOST.marks) return `it has more than ${MOST.marks} anchors, tags and directives`
  }
  return undefined
}

/** The lexer's own: in front of each scalar, and where brackets are left open. */
const SCALAR = '\u001f'
const FLOW_CUT = '\u0018'

/** What a person is most likely to have done, where the parser's own words need its grammar. */
const YAML_WORDS: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_INDENT: 'the indentation is not that of its neighbours, or a bracket above is not closed',
  TAB_AS_INDENT: 'a tab indents this line; use spaces',
}

/** The first of a document: what a parser says after it went astray helps nobody. */
export function syntaxProblems(document: Document, lines: LineCounter, text: string): Problem[] {
  const [first] = [...document.errors, ...document.warnings]
  const at = first === undefined ? repeatedKey(document) : first.pos[0]
  if (at === undefined) return []
  const what = first === undefined ? 'this key is there already' : (YAML_WORDS[first.code] ?? first.message)
  const { line, col } = lines.linePos(at)
  // The address of a proxy may hold a login.
  const from = lines.lineStarts[line - 1] ?? 0
  const end = text.indexOf('\n', from)
  const shown = text
    .slice(from, Math.min(end === -1 ? text.length : end, from + 4_096))
    .replace(/\/\/[^/\s]*@/g, '//***@')
    .slice(0, 200)
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

/** What every document must say of itself: our version, and one of these kinds. */
export function headProblems(document: Document, kinds: readonly string[], lines: LineCounter): Problem[] {
  if (document.errors.length > 0 || isEmpty(document)) return []
  if (!isMap(document.contents)) return [problem(document, [], lines, 'want a mapping with apiVersion and kind')]
  const head = [
    { field: 'apiVersion', wanted: [API_VERSION] },
    { field: 'kind', wanted: kinds },
  ]
  return head.flatMap(({ field, wanted }) => {
    const value = document.get(field)
    const isRight = typeof value === 'string' && wanted.some((one) => one === value)
    return isRight ? [] : [problem(document, [field], lines, `want ${wanted.join(' or ')}`)]
  })
}

/** What a document says, or all that is wrong with it. */
export function check<T>(
  document: Document,
  schema: z.ZodType<T>,
  lines: LineCounter,
): { readonly value: T } | { readonly problems: readonly Problem[] } {
  const plain = plainValue(document)
  if (plain === undefined) return { problems: [problem(document, [], lines, 'its aliases or merge keys cannot be resolved')] }
  const result = schema.safeParse(plain.value)
  if (result.success) return { value: result.data }
  // To find the line of each takes a walk through the document.
  const problems = result.error.issues
    .slice(0, MAX_PROBLEMS + 1)
    .flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys
            .slice(0, MAX_PROBLEMS + 1)
            .map((key) => problem(document, [...issue.path, key], lines, unknownKey(schema, key, issue.path)))
        : [problem(document, issue.path, lines, sentence(issue))],
    )
    .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
  return { problems }
}

/** The document without YAML around it; undefined where its aliases would blow it up. */
export function plainValue(document: Document): { readonly value: unknown } | undefined {
  try {
    return { value: document.toJS({ maxAliasCount: 100 }) }
  } catch {
    // Whatever a merge key or an alias makes the parser say: the file is at fault.
    return undefined
  }
}

function unknownKey(schema: z.ZodType, key: string, path: readonly PropertyKey[]): string {
  const meant = nearest(key, keysAt(schema, path))
  return meant === undefined ? 'unknown key' : `unknown key; perhaps ${meant} is meant`
}

/** The keys that may stand at a path of the file. */
function keysAt(root: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let schema: unknown = root
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

export function problem(document: Document, path: readonly PropertyKey[], lines: LineCounter, reason: string): Problem {
  const line = lineOf(document, path, lines)
  const field = path.join('.')
  return { reason, ...(line === undefined ? {} : { line }), ...(field === '' ? {} : { field }) }
}
