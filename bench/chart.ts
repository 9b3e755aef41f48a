/** Drawings in SVG, of text and rectangles alone: they look the same wherever they are shown. */

const COLOURS = ['#2a6f97', '#61a5c2', '#c77b30', '#8d6a9f', '#9a9a9a'] as const
export const colour = (at: number): string => COLOURS[at % COLOURS.length] ?? COLOURS[0]

export type Bar = { readonly name: string; readonly value: number; readonly label: string; readonly colour: string }
export type BarGroup = { readonly title: string; readonly bars: readonly Bar[] }

const WIDTH = 860
const LEFT = 200
const RIGHT = 90
const BAR = 16
const GAP = 22

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')

export function svg(title: string, width: number, height: number, parts: readonly string[]): string {
  const style = 'text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.axis{stroke:#ccc}'
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>${escaped(title)}</title>
<style>${style}</style>
<rect width="${width}" height="${height}" fill="#fff"/>
${parts.join('\n')}
</svg>
`
}

/** Groups of bars one below the other, all on one scale. */
export function barChart(title: string, groups: readonly BarGroup[]): string {
  const most = Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value)), Number.MIN_VALUE)
  const parts = [`<text class="title" x="10" y="20">${escaped(title)}</text>`]
  let y = 44
  for (const group of groups) {
    parts.push(`<text class="title" x="10" y="${y}">${escaped(group.title)}</text>`)
    y += 8
    for (const bar of group.bars) {
      const length = (bar.value / most) * (WIDTH - LEFT - RIGHT)
      parts.push(
        `<text x="${LEFT - 8}" y="${y + 12}" text-anchor="end">${escaped(bar.name)}</text>`,
        `<rect x="${LEFT}" y="${y}" width="${length.toFixed(1)}" height="${BAR - 3}" fill="${bar.colour}"/>`,
        `<text x="${(LEFT + length + 6).toFixed(1)}" y="${y + 12}">${escaped(bar.label)}</text>`,
      )
      y += BAR
    }
    y += GAP
  }
  return svg(title, WIDTH, y, parts)
}

/** One curve of a log-log plot. */
export type Curve = { readonly name: string; readonly points: readonly (readonly [x: number, y: number])[] }

const PLOT = { width: 420, height: 260, left: 60, right: 20, top: 34, bottom: 44 } as const

/** A log-log plot, its upper left corner at (x, y). */
export function logLogPlot(
  title: string,
  axes: readonly [x: string, y: string],
  curves: readonly Curve[],
  at: readonly [number, number],
): string {
  const [dx, dy] = at
  const all = curves.flatMap(({ points }) => points)
  const [xs, ys] = [decades(all.map(([x]) => x)), decades(all.map(([, y]) => y))]
  const px = (x: number) => PLOT.left + ((Math.log10(x) - xs.from) / xs.span) * (PLOT.width - PLOT.left - PLOT.right)
  const py = (y: number) =>
    PLOT.height - PLOT.bottom - ((Math.log10(y) - ys.from) / ys.span) * (PLOT.height - PLOT.top - PLOT.bottom)
  const parts = [`<text class="title" x="${PLOT.left}" y="18">${escaped(title)}</text>`]
  for (const x of ticks(xs)) {
    parts.push(
      `<line class="axis" x1="${px(x)}" y1="${PLOT.top}" x2="${px(x)}" y2="${PLOT.height - PLOT.bottom}"/>`,
      `<text x="${px(x)}" y="${PLOT.height - PLOT.bottom + 16}" text-anchor="middle">${short(x)}</text>`,
    )
  }
  for (const y of ticks(ys)) {
    parts.push(
      `<line class="axis" x1="${PLOT.left}" y1="${py(y)}" x2="${PLOT.width - PLOT.right}" y2="${py(y)}"/>`,
      `<text x="${PLOT.left - 6}" y="${py(y) + 4}" text-anchor="end">${short(y)}</text>`,
    )
  }
  parts.push(
    `<text x="${PLOT.width / 2}" y="${PLOT.height - 8}" text-anchor="middle">${escaped(axes[0])}; up: ${escaped(axes[1])}</text>`,
  )
  curves.forEach(({ name, points }, index) => {
    const line = points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(' ')
    parts.push(`<polyline points="${line}" fill="none" stroke="${colour(index)}" stroke-width="2"/>`)
    for (const [x, y] of points)
      parts.push(`<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="3" fill="${colour(index)}"/>`)
    if (curves.length > 1)
      parts.push(`<text x="${PLOT.left + 8}" y="${PLOT.top + 14 + 15 * index}" fill="${colour(index)}">${escaped(name)}</text>`)
  })
  return `<g transform="translate(${dx} ${dy})">${parts.join('\n')}</g>`
}

export const plotSize = { width: PLOT.width, height: PLOT.height }

type Scale = { readonly from: number; readonly span: number }

function decades(values: readonly number[]): Scale {
  const logs = values.filter((value) => value > 0).map(Math.log10)
  const [from, to] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))]
  return { from, span: Math.max(1, to - from) }
}

const ticks = ({ from, span }: Scale): number[] => Array.from({ length: span + 1 }, (_, at) => 10 ** (from + at))

function short(value: number): string {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const)
    if (value >= size) return `${value / size}${unit}`
  return String(Number(value.toPrecision(3)))
}
