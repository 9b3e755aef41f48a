/** The header fields of an answer, each of which any number of lines may have (RFC 9110 §5.3). */
import type { IncomingHttpHeaders } from 'node:http'

/** By name in lower case. What differs from line to line is a list: who wants one value of it finds that it is none. */
export type Fields = Readonly<Record<string, string | undefined>>

/** An answer that says two things where one is meant. */
export class Ambiguous extends Error {}

/** Ambiguous for two Locations: joined, they could pass for one that neither of them is. */
export function fieldsOf(headers: IncomingHttpHeaders): Fields | Ambiguous {
  const fields = Object.entries(headers).map(([name, value]) => [name, [...new Set([value ?? []].flat())]] as const)
  if (fields.some(([name, values]) => name === 'location' && values.length > 1))
    return new Ambiguous('an answer with two Locations that differ')
  return Object.fromEntries(fields.map(([name, values]) => [name, values.length === 0 ? undefined : values.join(', ')]))
}
