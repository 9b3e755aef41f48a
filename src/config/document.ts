/** Reads the configuration file and says, for whatever is wrong with it, on which line and in which field. */
import { readFileSync, statSync } from 'node:fs'
import type { Document } from 'yaml'
import { isMap, isNode, isScalar, LineCounter, parseAllDocuments } from 'yaml'
import type { z } from 'zod'
import { fail, failureOf } from '../failure/failure.ts'
import type { Configuration } from './schema.ts'
import { API_VERSION, configurationSchema, withoutEffect } from './schema.ts'

const MAX_FILE_BYTES = 1 << 20

/** The checked WindlassConfiguration of a file, and what in the file has no effect. Throws bad-config. */
export function readDocument(file: string): { configuration: Configuration; warnings: string[] } {
  const lines = new LineCounter()
  const text = readText(file)
  // Kubernetes speaks YAML 1.2 core here: no aliases blown up, no tags run.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const found: Configuration[] = []
  const warnings: string[] = []
  for (const document of Array.isArray(documents) ? documents : []) {
    refuseSyntax(file, document, lines)
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) continue
    const kind = kindOf(file, document, lines)
    if (kind === 'ImageList') warnings.push('ImageList: not used yet; no list is pulled in this version')
    else if (found.length > 0) refuse(file, lineOf(document, [], lines), 'kind', 'a file holds one WindlassConfiguration')
    else found.push(checked(file, document, lines))
  }
  const [configuration] = found
  if (configuration === undefined) fail({ kind: 'bad-config', file, reason: 'there is no WindlassConfiguration document in it' })
  return { configuration, warnings: [...withoutEffect(configuration), ...warnings] }
}

function readText(file: string): string {
  try {
    const { size } = statSync(file)
    if (size > MAX_FILE_BYTES) fail({ kind: 'bad-config', file, reason: `larger than ${MAX_FILE_BYTES} bytes` })
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'bad-config') throw error
    fail(
      { kind: 'bad-config', file, reason: failure.kind === 'system' ? `cannot be read: ${failure.code}` : 'is not UTF-8 text' },
      error,
    )
  }
}

function refuseSyntax(file: string, document: Document, lines: LineCounter): void {
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) refuse(file, lines.linePos(problem.pos[0]).line, undefined, problem.message)
}

function kindOf(file: string, document: Document, lines: LineCounter): string {
  if (!isMap(document.contents)) refuse(file, lineOf(document, [], lines), undefined, 'want a mapping with apiVersion and kind')
  for (const [field, wanted] of [
    ['apiVersion', [API_VERSION]],
    ['kind', ['WindlassConfiguration', 'ImageList']],
  ] as const) {
    const value = document.get(field)
    if (typeof value === 'string' && wanted.some((one) => one === value)) continue
    refuse(file, lineOf(document, [field], lines), field, `want ${wanted.join(' or ')}`)
  }
  return String(document.get('kind'))
}

function checked(file: string, document: Document, lines: LineCounter): Configuration {
  const result = configurationSchema.safeParse(plainValue(file, document))
  if (result.success) return result.data
  const [issue] = result.error.issues
  if (issue === undefined) fail({ kind: 'internal', what: 'a configuration was refused without a reason' }, result.error)
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  const where = unknown === undefined ? issue.path : [...issue.path, unknown]
  refuse(file, lineOf(document, where, lines), where.join('.'), unknown === undefined ? sentence(issue) : 'unknown key')
}

function plainValue(file: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    fail({ kind: 'bad-config', file, reason: 'too many aliases' }, error)
  }
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

function refuse(file: string, line: number | undefined, field: string | undefined, reason: string): never {
  fail({ kind: 'bad-config', file, reason, ...(line === undefined ? {} : { line }), ...(field ? { field } : {}) })
}
