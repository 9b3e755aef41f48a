/** Numbers, times and foreign text as a person reads them. */

/** Control, format, surrogate and private characters, and line and paragraph separators: what can make a terminal do things. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Text from a registry or an image, safe to print on one line of a terminal: whatever is not plain is written as `\u{…}`. */
export const printable = (text: string): string =>
  text.replace(UNSAFE, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`)

/** The same for JSON that has been serialised: its own newlines stay, the rest becomes `\uXXXX`, which JSON reads back. */
export const printableJson = (json: string): string =>
  json.replace(UNSAFE, (character) => (character === '\n' ? character : character.split('').map(unicodeEscape).join('')))

const unicodeEscape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** Three digits and a decimal unit: "61 MB", "1.23 GB", "512 B". */
export function bytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  return `${threeDigits(value, unit === 0)} ${UNITS[unit]}`
}

function threeDigits(value: number, whole: boolean): string {
  if (whole || value >= 99.95) return String(Math.round(value))
  return value.toFixed(value >= 9.995 ? 1 : 2).replace(/\.?0+$/, '')
}

/** "6 ms", "0.8 s", "12 s", "3m05s", "2h10m", "4d". */
export function duration(milliseconds: number): string {
  if (milliseconds < 100) return `${Math.round(milliseconds)} ms`
  if (milliseconds < 9950) return `${(milliseconds / 1000).toFixed(1)} s`
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 60) return `${seconds} s`
  const two = (n: number): string => String(n).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${two(Math.floor((seconds % 3600) / 60))}m`
  return `${Math.floor(seconds / 86_400)}d`
}

/** The first twelve hex digits of a digest. */
export const shortDigest = (digest: string): string => digest.replace(/^sha256:/, '').slice(0, 12)

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** A reason beside the name that it is about, which most begin with. */
export const reasonBeside = (name: string, reason: string): string =>
  reason.startsWith(`${name}: `) ? reason.slice(name.length + 2) : reason

/** A table with a header; cells are made safe to print, the last column is not padded. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], gap = 3): string {
  const all = [header, ...rows].map((row) => row.map(printable))
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const last = header.length - 1
  return all
    .map((row) => row.map((cell, column) => (column === last ? cell : cell.padEnd((widths[column] ?? 0) + gap))).join(''))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** Names and values, one a line, values aligned. */
export function facts(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2
  return rows.map(([name, value]) => `${name.padEnd(width)}${printable(value)}\n`).join('')
}
