/** Reads the configuration file and says, for whatever is wrong with it, on which line and in which field. */
import { isMap } from 'yaml'
import { fail, failureOf } from '../failure/failure.ts'
import type { Configuration } from './schema.ts'
import { API_VERSION, configurationSchema, withoutEffect } from './schema.ts'
import {
  check,
  documentsIn,
  failWith,
  headProblems,
  isEmpty,
  type Problem,
  plainValue,
  problem,
  readText,
  remainsOf,
  syntaxProblems,
} from './yaml.ts'

/** All keys with their comments take a tenth of it. */
const READING = { maxBytes: 64 * 1024, absent: 'there is no such file; windlass config > FILE makes one' } as const
const KINDS = ['WindlassConfiguration', 'ImageList'] as const

/** The checked WindlassConfiguration of a file, and what in the file has no effect. Throws bad-config, with all that is wrong. */
export function readDocument(file: string): { configuration: Configuration; warnings: string[] } {
  const text = readText(file, READING)
  const { documents, lines } = documentsIn(text)
  const found: Configuration[] = []
  const warnings: string[] = []
  const problems: Problem[] = []
  let isTaken = false
  for (const document of documents) {
    const wrong = [...syntaxProblems(document, lines, text), ...headProblems(document, KINDS, lines)]
    problems.push(...wrong)
    if (wrong.length > 0 || isEmpty(document)) continue
    if (document.get('kind') === 'ImageList')
      warnings.push('ImageList: lists are read from the files in prepull.listDir; the one in this file is not')
    else if (isTaken) problems.push(problem(document, ['kind'], lines, 'a file holds one WindlassConfiguration'))
    else {
      isTaken = true
      const checked = check(document, configurationSchema, lines)
      if ('value' in checked) found.push(checked.value)
      else problems.push(...checked.problems)
    }
  }
  failWith(file, problems)
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
    text = readText(file, READING)
  } catch (error) {
    if (failureOf(error).kind !== 'bad-config') throw error
    return nothing
  }
  for (const document of remainsOf(text)) {
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
