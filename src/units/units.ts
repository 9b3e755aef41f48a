/** Sizes and times as Kubernetes writes them: quantities (64Gi, 100M, 1.5Ki) and Go durations (5m, 1h30m, 250ms). */

const SCALE = new Map([
  ['', 1],
  ...['k', 'M', 'G', 'T', 'P'].map((suffix, i): [string, number] => [suffix, 1000 ** (i + 1)]),
  ...['Ki', 'Mi', 'Gi', 'Ti', 'Pi'].map((suffix, i): [string, number] => [suffix, 1024 ** (i + 1)]),
])

/** A quantity in units of one, rounded up as Kubernetes does; `undefined` if it is none, or beyond 2^53. */
export function parseQuantity(text: string): number | undefined {
  const [, digits = '', suffix = ''] = /^(\d{1,16}(?:\.\d{1,9})?)([A-Za-z]{0,2})$/.exec(text) ?? []
  const scale = SCALE.get(suffix)
  if (digits === '' || scale === undefined) return undefined
  const value = Math.ceil(Number(digits) * scale)
  return Number.isSafeInteger(value) ? value : undefined
}

/** The shortest exact quantity in powers of 1024: 68719476736 is "64Gi". */
export function formatQuantity(value: number): string {
  for (const suffix of ['Pi', 'Ti', 'Gi', 'Mi', 'Ki']) {
    const scale = SCALE.get(suffix) ?? 1
    if (value >= scale && value % scale === 0) return `${value / scale}${suffix}`
  }
  return String(value)
}

const MILLISECONDS = new Map([
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
])

/** A duration in milliseconds; `undefined` if it is none. A bare number has no unit and is none, as in Go. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  if (!/^(?:\d{1,9}(?:\.\d{1,6})?(?:h|ms|m|s))+$/.test(text)) return undefined
  let total = 0
  for (const [, digits = '0', unit = 's'] of text.matchAll(/([\d.]+)(h|ms|m|s)/g))
    total += Number(digits) * (MILLISECONDS.get(unit) ?? 0)
  const value = Math.ceil(total)
  return Number.isSafeInteger(value) ? value : undefined
}

/** The shortest exact duration: 300000 is "5m", 5400000 is "1h30m". */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s'
  let rest = milliseconds
  let text = ''
  for (const [unit, scale] of MILLISECONDS) {
    const count = Math.floor(rest / scale)
    if (count > 0) text += `${count}${unit}`
    rest -= count * scale
  }
  return text
}
