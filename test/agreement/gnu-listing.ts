/** Takes apart what `tar -tv` prints. */
import type { Account, Member } from './member.ts'

const LINE = /^(.)(.{9}) (-?\d+)\/(-?\d+) +(-?\d+|-?\d+,-?\d+) (-?\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d|-?\d+)(?:\.\d+)? +(.*)$/s
const TYPES: Readonly<Record<string, Member['type']>> = {
  '-': 'file',
  d: 'directory',
  l: 'symlink',
  h: 'hardlink',
  c: 'character',
  b: 'block',
  p: 'fifo',
}

export function parseListing(stdout: string, failure: string | undefined): Account {
  const members: Member[] = []
  let error = failure
  for (const line of stdout.split('\n').slice(0, -1)) {
    const member = parseLine(line)
    if (member !== undefined) members.push(member)
    else error ??= `the line ${JSON.stringify(line)}`
  }
  return { members, error }
}

function parseLine(line: string): Member | undefined {
  const [, letter = '', permissions = '', uid, gid, size = '', time = '', rest = ''] = LINE.exec(line) ?? []
  const type = TYPES[letter]
  if (type === undefined || / unknown file type /.test(rest)) return undefined
  const arrow = type === 'symlink' ? ' -> ' : type === 'hardlink' ? ' link to ' : undefined
  // An empty name leaves the arrow right behind the padding of the time.
  const shown = arrow !== undefined && rest.startsWith(arrow.trimStart()) ? ` ${rest}` : rest
  const at = arrow === undefined ? -1 : shown.indexOf(arrow)
  const [major, minor] = size.split(',').map(Number)
  return {
    type,
    name: unquote(at === -1 ? shown : shown.slice(0, at)),
    link: at === -1 ? '' : unquote(shown.slice(at + (arrow?.length ?? 0))),
    size: Number(size),
    mode: modeOf(permissions),
    uid: Number(uid),
    gid: Number(gid),
    mtime: secondsOf(time),
    major: major ?? 0,
    minor: minor ?? 0,
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', a: '\x07', '\\': '\\' }

const unquote = (text: string): string =>
  text.replace(/\\([0-7]{3}|.)/gs, (whole, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (ESCAPES[code] ?? whole),
  )

/** `rwsr-x--T` to its bits. */
function modeOf(permissions: string): number {
  let mode = 0
  for (const [place, letter] of [...permissions].entries()) {
    if (letter !== '-' && letter !== 'S' && letter !== 'T') mode |= 0o400 >> place
    if ('sStT'.includes(letter)) mode |= 0o4000 >> Math.floor(place / 3)
  }
  return mode
}

/** A time of UTC, or the bare number of seconds tar prints where no calendar reaches. */
function secondsOf(time: string): number {
  if (/^-?\d+$/.test(time)) return Number(time)
  const [, year, month, day, hour, minute, second] = (/^(-?\d+)-(..)-(..) (..):(..):(..)$/.exec(time) ?? []).map(Number)
  return days(year ?? 0, month ?? 1, day ?? 1) * 86_400 + (hour ?? 0) * 3600 + (minute ?? 0) * 60 + (second ?? 0)
}

/** Days since 1970 in the Gregorian calendar; Date ends in the year 275,760, and headers do not. */
function days(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  return shifted * 365 + Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400) + dayOfYear - 719_468
}
