/**
 * `npm run crash`: all of it, and one table. `-- --share 0.1` makes a tenth of each; the whole takes hours on two cores. Cases that other
 * tests make in full (SIGTERM, a second daemon, damaged databases and layers, other versions) are named in docs/durability.md.
 */
import { parseArgs } from 'node:util'
import { lacking } from '../integration/lacking.ts'
import { CONTROLS, runCuts, withoutSync } from './cutting.ts'
import { runFailures } from './failing.ts'
import { runFull, SCARCE } from './full.ts'
import { runKills } from './killing.ts'
import { runRaces } from './racing.ts'
import { isClean, type Tally, table } from './tally.ts'

const { values } = parseArgs({ options: { share: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' } } })
const [share, seed] = [Number(values.share), Number(values.seed)]
const { signal } = new AbortController()
const some = (count: number): number => Math.max(1, Math.round(count * share))

const isBesideHere = !lacking('root', 'containerd', 'runc')
if (!isBesideHere) console.error('SKIPPED: kills and power cuts beside containerd, which is not here')

const cases: readonly (() => Promise<Tally>)[] = [
  () => runKills(some(500), seed, { signal }),
  () => runCuts(some(200), seed, { signal }),
  ...(isBesideHere
    ? [() => runKills(some(200), seed, { signal, beside: true }), () => runCuts(some(100), seed, { signal, beside: true })]
    : []),
  () => runFailures(some(200), seed, { signal }),
  ...SCARCE.map((what) => () => runFull(some(100), seed, what, { signal })),
  () => runRaces(some(10_000), seed, { signal }),
]
const tallies: Tally[] = []
for (const each of cases) {
  const tally = await each()
  tallies.push(tally)
  console.log(`${tally.what}: ${tally.runs} runs …`)
}
const control = await runCuts(CONTROLS, seed, { signal, wrapper: withoutSync })
console.log(table(tallies))
console.log(`control, syncfs left out: ${control.corrupt.length} corrupt images in ${control.runs} cuts, as there must be`)
if (control.corrupt.length === 0) console.error('FAILED: without syncfs nothing was lost either, so the cuts prove nothing')
process.exitCode = tallies.every(isClean) && control.corrupt.length > 0 ? 0 : 1
