/** The part of Go's text/template that the chart in deploy/helm is written in: text, actions, if, with, range, define. */
import { type Pipeline, parsePipeline } from './pipeline.ts'

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'show'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range'
      readonly pipeline: Pipeline
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }
/** What files define, by name. */
export type Defined = ReadonlyMap<string, readonly Node[]>

type Token = { readonly kind: 'text' | 'action'; readonly text: string }

/** A template's own nodes, and what it defines. Throws where it is none, or uses what is not known here. */
export function parseTemplate(source: string): { readonly nodes: readonly Node[]; readonly defined: Defined } {
  const tokens = tokensOf(source)
  const defined = new Map<string, readonly Node[]>()
  let at = 0

  /** Up to an `end` or `else` that is not its own; `open` is what was begun. */
  function nodes(open: string | undefined): Node[] {
    const found: Node[] = []
    for (; at < tokens.length; at++) {
      const token = tokens[at]
      if (token === undefined) break
      if (token.kind === 'text') {
        found.push({ kind: 'text', text: token.text })
        continue
      }
      const [, word = '', rest = ''] = /^(\w+)?\s*([\s\S]*)$/.exec(token.text) ?? []
      if (word === 'end' || word === 'else') {
        if (open === undefined) throw new Error(`{{ ${token.text} }} ends nothing`)
        return found
      }
      if (word === 'define') {
        at++
        defined.set(JSON.parse(rest), nodes(word))
      } else if (word === 'if' || word === 'with' || word === 'range') found.push(block(word, rest))
      else if (!token.text.startsWith('/*')) found.push({ kind: 'show', pipeline: parsePipeline(token.text) })
    }
    if (open !== undefined) throw new Error(`{{ ${open} }} has no end`)
    return found
  }

  function block(kind: 'if' | 'with' | 'range', rest: string): Node {
    at++
    const pipeline = parsePipeline(rest)
    const body = nodes(kind)
    if (tokens[at]?.text !== 'else') return { kind, pipeline, body, otherwise: [] }
    at++
    return { kind, pipeline, body, otherwise: nodes(kind) }
  }

  return { nodes: nodes(undefined), defined }
}

/** `{{-` takes the white space before it away, `-}}` what is behind it. */
function tokensOf(source: string): readonly Token[] {
  const parts = source.split(/(\{\{-?\s[\s\S]*?\s-?\}\})/)
  return parts.map((part, index): Token => {
    if (index % 2 === 1) return { kind: 'action', text: part.replace(/^\{\{-?\s+|\s+-?\}\}$/g, '') }
    const trimmedEnd = parts[index + 1]?.startsWith('{{-') ? part.trimEnd() : part
    return { kind: 'text', text: parts[index - 1]?.endsWith('-}}') ? trimmedEnd.trimStart() : trimmedEnd }
  })
}
