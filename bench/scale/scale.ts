/**
 * `npm run scale`: how long things take as there is more of them: layers, files, bytes, images in the store, pulls at once.
 *
 *     npm run scale -- [--quick] [--curve NAME]... [--runs N] [--write]
 *
 * `--quick` stops at 100,000 files, 500 MB, 1,000 images. `--write` is for the record, SCALE.md and scale.svg. Needs root, and without
 * `--quick` 12 GB of memory and 5 GB in the temporary directory.
 */
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isRoot } from '../../scripts/machine.ts'
import type { Abortable } from '../../src/task/task.ts'
import { median } from '../figures.ts'
import { enterSandbox, inSandbox, untilStopped } from '../sandbox.ts'
import { type Curve, curves, type Place } from './curves.ts'
import { type Line, lineText, page, picture } from './report.ts'
import type { Point } from './slope.ts'
import { warmMemory } from './warm.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    curve: { type: 'string', multiple: true },
    runs: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})

function chosen(): readonly Curve[] {
  return (values.curve ?? curves.map(({ name }) => name)).map((name) => {
    const curve = curves.find((each) => each.name === name)
    if (curve === undefined) throw new Error(`--curve ${name}: want ${curves.map((each) => each.name).join(', ')}`)
    return curve
  })
}

/** Medians along one curve, a line for each thing that is timed. */
async function trace(curve: Curve, runs: number, at: Place): Promise<Line[]> {
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
  const runs = Number(values.runs ?? (values.quick ? 1 : 3))
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: want a number of at least 1`)
  const wanted = chosen()
  const [before = 0] = loadavg()
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'windlass-scale-'))
  const place: Place = { scratch: scratch.path, signal }
  await warmMemory(values.quick ? 1e9 : 16e9, place)
  const lines: Line[] = []
  for (const curve of wanted) lines.push(...(await trace(curve, runs, place)))
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
  chosen()
  if (!isRoot()) throw new Error('layers are unpacked and file systems mounted: it needs root')
  if (!inSandbox()) return enterSandbox()
  return await untilStopped(run)
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? `windlass scale: ${error.message}` : error)
  process.exitCode = 1
}
