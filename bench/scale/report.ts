/** What the curves say: a table with slopes, and a picture. */
import { cpus, release } from 'node:os'
import { logLogPlot, plotSize, svg } from '../chart.ts'
import type { Curve } from './curves.ts'
import { isSuperlinear, lastSlope, type Point, slope } from './slope.ts'

/** One thing that was timed along a curve. */
export type Line = { readonly curve: Curve; readonly what: string; readonly points: readonly Point[] }

const time = (seconds: number): string => (seconds < 1 ? `${(seconds * 1000).toPrecision(3)} ms` : `${seconds.toPrecision(3)} s`)

function amount(value: number): string {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const)
    if (value >= size) return `${Number((value / size).toPrecision(3))}${unit}`
  return String(value)
}

const judged = (points: readonly Point[]): string => (isSuperlinear(points) ? 'more than linear at the end' : '')

const slopes = (points: readonly Point[]): readonly string[] =>
  points.length < 2 ? ['', '', ''] : [slope(points).toFixed(2), lastSlope(points).toFixed(2), judged(points)]

/** One row for the terminal. */
export function lineText({ curve, what, points }: Line): string {
  const [all = '', last = '', judgement = ''] = slopes(points)
  const told = points.map(([x, y]) => `${amount(x)}: ${time(y)}`).join('   ')
  return `${`${curve.name}, ${what}`.padEnd(16)} ${told}   slope ${all}, at the end ${last}${judgement === '' ? '' : `: ${judgement}`}`
}

export function page(lines: readonly Line[], { command, load }: { readonly command: string; readonly load: string }): string {
  const rows = lines.map(({ curve, what, points }) => {
    const told = points.map(([x, y]) => `${amount(x)}: ${time(y)}`).join(', ')
    return `| ${curve.unit}, ${what} | ${told} | ${slopes(points).join(' | ')} |`
  })
  return `# How it grows

\`${command}\` wrote this file on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, Linux ${release()},
Node ${process.versions.node}, load of the machine ${load}. Each point is a daemon on a fresh tmpfs and a registry in the benchmark's process, on loopback;
pulls are timed once its processes are there. The limits of layers are raised by configuration.

![The curves](scale.svg)

The slope is that of the logarithms: 1 is linear, 0 flat. The last one is between the last two points, where nothing constant hides it.
Of files and bytes, \`memory\` is what writing as much to the same tmpfs takes, right before and by itself: a virtual machine waits for its host where it
touches more memory than it has at hand, and a pull waits as long.

| along | seconds | slope | at the end | |
| --- | --- | --: | --: | --- |
${rows.join('\n')}
`
}

export function picture(lines: readonly Line[]): string {
  const curves = [...new Set(lines.map(({ curve }) => curve))]
  const plots = curves.map((curve, at) => {
    const own = lines.filter((line) => line.curve === curve).map(({ what, points }) => ({ name: what, points }))
    const place = [(at % 2) * plotSize.width, Math.floor(at / 2) * plotSize.height] as const
    return logLogPlot(curve.name, [curve.unit, 'seconds'], own, place)
  })
  return svg(
    'How long things take as there is more of them',
    2 * plotSize.width,
    Math.ceil(curves.length / 2) * plotSize.height,
    plots,
  )
}
