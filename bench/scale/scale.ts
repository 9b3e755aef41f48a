/** `npm run scale`: how long things take as there is more of them. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { flag, optionsOf, someOf, whole } from '../../scripts/options.ts'
import type { Abortable } from '../../src/task/task.ts'
import { median } from '../figures.ts'
import { enterSandbox, inSandbox, untilStopped } from '../sandbox.ts'
import { type Curve, curves, type Place } from './curves.ts'
import { type Line, lineText, page, picture } from './report.ts'
import type { Point } from './slope.ts'

const values = optionsOf({
  command: 'npm run scale',
  about: `How long things take as there is more of them: layers, files, bytes, images in the store, pulls at once; medians along each curve,
    its slope, and whether the time grows faster than what there is.`,
  takes: 'a quarter of an hour on two quiet cores, with --quick a minute',
  root: true,
  needs: 'without --quick 12 GB of memory (up to 16 GB are touched first) and 5 GB in the temporary directory',
  options: {
    quick: flag('stops at 100,000 files, 500 MB, 1,000 images, and runs each once'),
    curve: someOf(
      curves.map(({ name }) => name),
      'what there is more and more of',
    ),
    runs: whole('N', undefined, 'times each amount (3, with --quick 1)'),
    write: flag('for the record: writes bench/SCALE.md and bench/scale.svg'),
  },
  examples: [['--quick --curve files', 'one of them, in a minute or two']],
})
const { runs = values.quick ? 1 : 3 } = values
const chosen = curves.filter(({ name }) => values.curve?.includes(name) ?? true)

/** Medians along one curve, a line for each thing that is timed. */
async function trace(curve: Curve, at: Place): Promise<Line[]> {
  const points = new Map<string, Point[]>()
  for (const amount of curve.amounts.filter((each) => !values.quick || each <= curve.quickTo)) {
    const measured: Readonly<Record<string, number>>[] = []
    for (let run = 0; run < runs; run++) measured.push(await curve.measure(amount, at))
    const [first = {}] = measured
    for (const what of Object.keys(first)) {
      const seconds = median(measured.flatMap((each) => each[what] ?? []))
      points.set(what, [...(points.get(what) ?? []), [amount, seconds]])
    }
    console.error(
      `${curve.name.padEnd(10)} ${amount}: ${Object.entries(first)
        .map(([what, s]) => `${what} ${s.toFixed(3)} s`)
        .join(', ')}`,
    )
  }
  return [...points].map(([what, each]) => ({ curve, what, points: each }))
}

async function run({ signal }: Abortable): Promise<void> {
  const [before = 0] = loadavg()
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'windlass-scale-'))
  const place: Place = { scratch: scratch.path, signal }
  const lines: Line[] = []
  for (const curve of chosen) lines.push(...(await trace(curve, place)))
  const [after = 0] = loadavg()
  const load = `${before.toFixed(1)} to ${after.toFixed(1)}`
  console.log(`${lines.map(lineText).join('\n')}\nload ${load}`)
  if (!values.write) return
  const at = (name: string) => join(import.meta.dirname, '..', name)
  const command = `npm run scale -- ${process.argv.slice(2).join(' ')}`
  await writeFile(at('SCALE.md'), page(lines, { command, load }))
  await writeFile(at('scale.svg'), picture(lines))
}

async function main(): Promise<number> {
  if (!inSandbox()) return enterSandbox()
  return await untilStopped(run)
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? `windlass scale: ${error.message}` : error)
  process.exitCode = 1
}
