/** A command's result in the format that was asked for. */
import { type Io, writeTo } from './io.ts'
import { printableJson } from './text.ts'

export const FORMATS = ['table', 'json', 'yaml'] as const
export type Format = (typeof FORMATS)[number]

/** Writes `value` as JSON or YAML, or what `forPeople` makes of it. */
export async function print<T>(io: Io, format: Format, value: T, forPeople: (value: T) => string): Promise<void> {
  await writeTo(io.stdout, format === 'table' ? forPeople(value) : await serialise(format, value))
}

/** One value on one line, for a stream of them. */
export const jsonLine = (value: unknown): string => `${printableJson(JSON.stringify(value))}\n`

/** Values one after the other: JSON has a line for each, YAML a document. */
export async function streamIn(format: 'json' | 'yaml'): Promise<(value: unknown) => string> {
  if (format === 'json') return jsonLine
  const yaml = await import('yaml')
  return (value) => `---\n${yamlText(value, yaml)}`
}

async function serialise(format: 'json' | 'yaml', value: unknown): Promise<string> {
  if (format === 'json') return `${printableJson(JSON.stringify(value, null, 2))}\n`
  return yamlText(value, await import('yaml'))
}

function yamlText(value: unknown, { Document, visit }: typeof import('yaml')): string {
  const document = new Document(plain(value), { aliasDuplicateObjects: false })
  // Quoted, a character can be written as an escape; plain, it would reach the terminal.
  visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value === 'string' && printableJson(node.value) !== node.value) node.type = 'QUOTE_DOUBLE'
    },
  })
  return printableJson(document.toString({ lineWidth: 0 }))
}

/** Dates and absent values as JSON has them. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
