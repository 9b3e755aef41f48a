/** How the demo prints: a label and what it has to say, in colour where that is welcome. */
import { type Output, type Paint, painter } from '../src/cli/io.ts'

const LABEL = 11

export type Show = {
  readonly paint: Paint
  /** One row; further lines are indented below the first. */
  row(label: string, text: string): void
}

export function showOn(output: Output): Show {
  const paint = painter(output, process.env)
  return {
    paint,
    row: (label, text) => {
      const [first = '', ...more] = text.trimEnd().split('\n')
      const lines = [`${paint('bold', label.padEnd(LABEL))}${first}`, ...more.map((line) => `${' '.repeat(LABEL)}${line}`)]
      output.write(`${lines.join('\n')}\n`)
    },
  }
}
