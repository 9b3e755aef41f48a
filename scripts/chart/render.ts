/** Renders the chart as helm does, as far as it is written: what it uses beyond that is refused, never guessed. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { type Defined, type Node, parseTemplate } from './parse.ts'
import type { Pipeline, Term } from './pipeline.ts'

export type Rendering = {
  readonly values: Readonly<Record<string, unknown>>
  readonly release: { readonly name: string; readonly namespace: string; readonly service: string }
}
const record = z.record(z.string(), z.unknown())
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => record.safeParse(value).success
const text = z.string()

/** Each template's YAML, by its file's name; those that come out empty are left out, as helm does. */
export function renderChart(dir: string, { values, release }: Rendering): ReadonlyMap<string, string> {
  const files = readdirSync(join(dir, 'templates')).map((name) => ({
    name,
    ...parseTemplate(readFileSync(join(dir, 'templates', name), 'utf8')),
  }))
  const defined: Defined = new Map(files.flatMap((file) => [...file.defined]))
  const { name, version, appVersion } = record.parse(parse(readFileSync(join(dir, 'Chart.yaml'), 'utf8')))
  const root = {
    Values: values,
    Release: { Name: release.name, Namespace: release.namespace, Service: release.service },
    Chart: { Name: name, Version: version, AppVersion: appVersion },
  }
  const rendered = files
    .filter((file) => !file.name.startsWith('_'))
    .map((file) => [file.name, new Template(defined, root).render(file.nodes, root).trim()] as const)
  return new Map(rendered.filter(([, output]) => output !== '').map(([file, output]) => [file, `${output}\n`]))
}

class Template {
  readonly #defined: Defined
  readonly #root: unknown

  constructor(defined: Defined, root: unknown) {
    this.#defined = defined
    this.#root = root
  }

  render(nodes: readonly Node[], dot: unknown): string {
    return nodes.map((node) => this.#node(node, dot)).join('')
  }

  #node(node: Node, dot: unknown): string {
    if (node.kind === 'text') return node.text
    const value = this.#evaluate(node.pipeline, dot)
    if (node.kind === 'show') return shown(value)
    if (!isTrue(value)) return this.render(node.otherwise, dot)
    if (node.kind === 'range')
      return z
        .array(z.unknown())
        .parse(value)
        .map((each) => this.render(node.body, each))
        .join('')
    return this.render(node.body, node.kind === 'with' ? value : dot)
  }

  /** What is left of a `|` is the last argument of what is right of it. */
  #evaluate(pipeline: Pipeline, dot: unknown): unknown {
    return pipeline.reduce<readonly unknown[]>((piped, command) => [this.#command(command, piped, dot)], [])[0]
  }

  #command([first, ...rest]: readonly Term[], piped: readonly unknown[], dot: unknown): unknown {
    if (first?.kind === 'function') return this.#call(first.name, [...rest.map((term) => this.#term(term, dot)), ...piped])
    if (first === undefined || rest.length > 0 || piped.length > 0) throw new Error('a value is no function')
    return this.#term(first, dot)
  }

  #term(term: Term, dot: unknown): unknown {
    if (term.kind === 'value') return term.value
    if (term.kind === 'pipeline') return this.#evaluate(term.pipeline, dot)
    if (term.kind === 'function') return this.#call(term.name, [])
    return term.path.reduce(
      (from, name) => {
        if (from === undefined) throw new Error(`there is nothing that .${term.path.join('.')} could be in`)
        return isRecord(from) ? from[name] : undefined
      },
      term.from === 'root' ? this.#root : dot,
    )
  }

  #call(name: string, args: readonly unknown[]): unknown {
    const [first, second] = args
    switch (name) {
      case 'include': {
        const nodes = this.#defined.get(text.parse(first))
        if (nodes === undefined) throw new Error(`nothing defines ${first}`)
        return this.render(nodes, second)
      }
      case 'toYaml':
        return stringify(first, { sortMapEntries: true, lineWidth: 0 }).trimEnd()
      case 'nindent':
        return `\n${text.parse(second).replace(/^/gm, ' '.repeat(z.number().parse(first)))}`
      case 'quote':
        return JSON.stringify(shown(first))
      case 'default':
        return isTrue(second) ? second : first
      case 'eq':
        return first === second
      case 'omit':
        return Object.fromEntries(Object.entries(record.parse(first)).filter(([key]) => !args.slice(1).includes(key)))
      case 'sha256sum':
        return createHash('sha256').update(text.parse(first)).digest('hex')
      default:
        throw new Error(`the function ${name} is not known here`)
    }
  }
}

/** As text/template counts: nothing, zero and what is empty are false. */
function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return isRecord(value) ? Object.keys(value).length > 0 : Boolean(value)
}

function shown(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new Error(`${JSON.stringify(value)} is shown as it is; toYaml is missing, or the value`)
}
