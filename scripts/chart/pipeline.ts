/** What stands between the braces: `include "a" . | nindent 4`. */

export type Term =
  | { readonly kind: 'value'; readonly value: string | number | boolean }
  /** Of what the dot is, or of everything (`$`). */
  | { readonly kind: 'field'; readonly from: 'dot' | 'root'; readonly path: readonly string[] }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline }
export type Pipeline = readonly (readonly Term[])[]

const WORD = /\s*(?:("(?:[^"\\]|\\.)*")|(-?\d+)|(\$?(?:\.\w+)+|\$|\.)|(\w+)|([()|]))/y

/** Throws for anything else. */
export function parsePipeline(text: string): Pipeline {
  WORD.lastIndex = 0
  const words: RegExpExecArray[] = []
  while (WORD.lastIndex < text.trimEnd().length) {
    const from = WORD.lastIndex
    const word = WORD.exec(text)
    if (word === null) throw new Error(`${text.slice(from)} of {{ ${text} }} is not known here`)
    words.push(word)
  }
  let at = 0

  function pipeline(isInside: boolean): Pipeline {
    const commands: Term[][] = [[]]
    for (; at < words.length; at++) {
      const [, quoted, number, field, name, sign] = words[at] ?? []
      const command = commands.at(-1)
      if (sign === ')') {
        if (!isInside) throw new Error(`a parenthesis too many in {{ ${text} }}`)
        return commands
      }
      if (sign === '|') commands.push([])
      else if (sign === '(') {
        at++
        command?.push({ kind: 'pipeline', pipeline: pipeline(true) })
      } else if (quoted !== undefined) command?.push({ kind: 'value', value: JSON.parse(quoted) })
      else if (number !== undefined) command?.push({ kind: 'value', value: Number(number) })
      else if (name === 'true' || name === 'false') command?.push({ kind: 'value', value: name === 'true' })
      else if (name !== undefined) command?.push({ kind: 'function', name })
      else command?.push(fieldOf(field ?? '.'))
    }
    if (isInside) throw new Error(`a parenthesis is open in {{ ${text} }}`)
    return commands
  }

  return pipeline(false)
}

const fieldOf = (text: string): Term => ({
  kind: 'field',
  from: text.startsWith('$') ? 'root' : 'dot',
  path: text.split('.').filter((name) => name !== '' && name !== '$'),
})
