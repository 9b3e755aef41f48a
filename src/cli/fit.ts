/** Text made to fit a terminal: names lose their middle, figures lose nothing. */
import { printable, table } from './text.ts'

/** `text` in at most `width` characters, without its middle; of a name the end tells more than the beginning. */
export function shortened(text: string, width: number): string {
  const characters = [...text]
  if (characters.length <= width) return text
  const head = Math.max(0, Math.floor((width - 1) / 3))
  return [...characters.slice(0, head), '…', ...characters.slice(head - width + 1)].join('')
}

/** Where lines of a report go on: below their first part. */
const INDENT = 11

/** A line as lines of at most `width`, broken between its parts, which two spaces keep apart. A part that is too long stays whole. */
export function folded(line: string, width: number): string[] {
  if (line.length <= width) return [line]
  const at = line.lastIndexOf('  ', width)
  if (line.slice(0, at).trimEnd().length <= INDENT) return [line]
  return [line.slice(0, at), ...folded(`${' '.repeat(INDENT)}${line.slice(at).trimStart()}`, width)]
}

export type Fitting = {
  readonly width: number
  /** The column whose cells may lose their middle, and how many characters of it must stay. */
  readonly shorten: string
  readonly least: number
  /** Columns that can be left out, those first that will be missed least. */
  readonly expendable: readonly string[]
}

const NARROW_GAP = 2

/** A table that fits `width`: as it is if it does, else with less between its columns, then with names shortened, then columns fewer. */
export function fittedTable(header: readonly string[], rows: readonly (readonly string[])[], fitting: Fitting): string {
  const { width, shorten, least, expendable } = fitting
  const natural = table(header, rows)
  if (natural.split('\n').every((line) => [...line].length <= width)) return natural
  const at = header.indexOf(shorten)
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => printable(row[column] ?? '').length)))
  const taken = widths.reduce((sum, each, column) => (column === at ? sum : sum + each), NARROW_GAP * (header.length - 1))
  const room = width - taken
  const [drop, ...others] = expendable
  if (room < Math.min(least, widths[at] ?? 0) && drop !== undefined) {
    const gone = header.indexOf(drop)
    const without = (row: readonly string[]): string[] => row.filter((_, column) => column !== gone)
    return fittedTable(without(header), rows.map(without), { ...fitting, expendable: others })
  }
  const cells = rows.map((row) =>
    row.map((cell, column) => (column === at ? shortened(printable(cell), Math.max(least, room)) : cell)),
  )
  return table(header, cells, NARROW_GAP)
}
