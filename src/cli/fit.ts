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
  readonly flexible: readonly Flexible[]
  /** Columns that can be left out, those first that will be missed least. */
  readonly expendable: readonly string[]
}

/** A column whose cells may be cut, how many characters of each must stay, and what goes: a name tells most by its end, a reason by its start. */
export type Flexible = { readonly column: string; readonly least: number; readonly loses: 'middle' | 'end' }

const NARROW_GAP = 2

/** A table that fits `width`: as it is if it does, else with less between its columns, then with cells cut, then columns fewer. */
export function fittedTable(header: readonly string[], rows: readonly (readonly string[])[], fitting: Fitting): string {
  const { width, flexible, expendable } = fitting
  const natural = table(header, rows)
  if (natural.split('\n').every((line) => [...line].length <= width)) return natural
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => printable(row[column] ?? '').length)))
  const needs = flexible.map((each) => needOf(each, widths[header.indexOf(each.column)] ?? 0))
  const taken = widths.reduce((sum, each) => sum + each, NARROW_GAP * (header.length - 1))
  const room = width - taken + needs.reduce((sum, { most }) => sum + most, 0)
  const [drop, ...others] = expendable
  if (room < needs.reduce((sum, { least }) => sum + least, 0) && drop !== undefined) {
    const gone = header.indexOf(drop)
    const without = (row: readonly string[]): string[] => row.filter((_, column) => column !== gone)
    return fittedTable(without(header), rows.map(without), { ...fitting, expendable: others })
  }
  const cuts = new Map(shared(needs, room).map(({ column, loses, width }) => [header.indexOf(column), { loses, width }]))
  const cells = rows.map((row) =>
    row.map((cell, column) => {
      const cut = cuts.get(column)
      if (cut === undefined) return cell
      return cut.loses === 'middle' ? shortened(printable(cell), cut.width) : withoutEnd(printable(cell), cut.width)
    }),
  )
  return table(header, cells, NARROW_GAP)
}

type Need = Flexible & { readonly most: number }

const needOf = (flexible: Flexible, most: number): Need => ({ ...flexible, least: Math.min(flexible.least, most), most })

/** Each column has its least; what room is left they share by what they lack. */
function shared(needs: readonly Need[], room: number): readonly (Need & { readonly width: number })[] {
  const spare = Math.max(0, room - needs.reduce((sum, { least }) => sum + least, 0))
  const lacking = needs.reduce((sum, { least, most }) => sum + most - least, 0)
  const share = lacking === 0 ? 0 : Math.min(1, spare / lacking)
  return needs.map((need) => ({ ...need, width: need.least + Math.floor((need.most - need.least) * share) }))
}

/** `text` in at most `width` characters, without its end. */
function withoutEnd(text: string, width: number): string {
  const characters = [...text]
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`
}
