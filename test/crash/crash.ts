/**
 * `npm run crash`: all of it, and one table. `-- --share 0.1` makes a tenth of each, `--only races` one case; the whole takes hours on two
 * cores. Cases that other tests make in full (SIGTERM, a second daemon, damaged databases and layers, other versions) are named in
 * docs/durability.md.
 */
import { parseArgs } from 'node:util'
import { lacking } from '../integration/lacking.ts'
import { CONTROLS, runCuts, withoutSync } from './cutting.ts'
import { runFailures } from './failing.ts'
import { runFull, SCARCE } from './full.ts'
import { runKills } from './killing.ts'
import { runRaces } from './racing.ts'
import { isClean, type Tally, table } from './tally.ts'

const { values } = parseArgs({
  options: {
    share: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
  },
})
const [share, seed] = [Number(values.share), Number(values.seed)]
const { signal } = new AbortController()
const some = (count: number): number => Math.max(1, Math.round(count * share))

const isBesideHere = !lacking('root', 'containerd', 'runc')
if (!isBesideHere) console.error('SKIPPED: kills and power cuts beside containerd, which is not here')

const cases: Record<string, () => Promise<Tally>> = {
  kills: () => runKills(some(500), seed, { signal }),
  cuts: () => runCuts(some(200), seed, { signal }),
  ...(isBesideHere && {
    'kills-beside': () => runKills(some(200), seed, { signal, beside: true }),
    'cuts-beside': () => runCuts(some(100), seed, { signal, beside: true }),
  }),
  failures: () => runFailures(some(200), seed, { signal }),
  ...Object.fromEntries(SCARCE.map((what) => [what, () => runFull(some(100), seed, what, { signal })])),
  races: () => runRaces(some(10_000), seed, { signal }),
}
const names = values.only ?? Object.keys(cases)
const unknown = names.filter((name) => cases[name] === undefined)
if (unknown.length > 0) {
  console.error(`no such case: ${unknown.join(', ')}; there are ${Object.keys(cases).join(', ')}`)
  process.exit(2)
}
const tallies: Tally[] = []
for (const name of names) {
  const tally = await cases[name]?.()
  if (tally === undefined) continue
  tallies.push(tally)
  console.log(`${tally.what}: ${tally.runs} runs …`)
}
const control = await runCuts(CONTROLS, seed, { signal, wrapper: withoutSync })
console.log(table(tallies))
console.log(`control, syncfs left out: ${control.corrupt.length} corrupt images in ${control.runs} cuts, as there must be`)
if (control.corrupt.length === 0) console.error('FAILED: without syncfs nothing was lost either, so the cuts prove nothing')
process.exitCode = tallies.every(isClean) && control.corrupt.length > 0 ? 0 : 1
