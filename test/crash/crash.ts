/**
 * `npm run crash`: all of it, and one table. Cases that other tests make in full (SIGTERM, a second daemon, damaged databases and layers,
 * other versions) are named in docs/durability.md.
 */
import { amount, optionsOf, someOf, whole } from '../../scripts/options.ts'
import { lacking } from '../integration/lacking.ts'
import { CONTROLS, runCuts, withoutSync } from './cutting.ts'
import { runFailures } from './failing.ts'
import { runFull, SCARCE } from './full.ts'
import { runKills } from './killing.ts'
import { runRaces } from './racing.ts'
import { isClean, type Tally, table } from './tally.ts'

const CASES = ['kills', 'cuts', 'kills-beside', 'cuts-beside', 'failures', ...SCARCE, 'races'] as const
const { share, seed, only } = optionsOf({
  command: 'npm run crash',
  about: 'Kills, power cuts, failing calls, full disks and races, and one table of what came of them.',
  takes: 'hours on two cores; with --share 0.01 minutes',
  root: true,
  needs: 'mkfs.ext4, loop devices, strace, mkfs.btrfs; containerd and runc, or what is beside them is skipped',
  options: {
    share: amount('PART', 1, 'of the runs of each case'),
    seed: whole('N', 1, 'the same seed strikes at the same points, as far as clocks allow'),
    only: someOf(CASES, 'cases'),
  },
  examples: [
    ['--share 0.01', 'a hundredth of each'],
    ['--only races', 'one case, in full'],
  ],
})
const { signal } = new AbortController()
const some = (count: number): number => Math.max(1, Math.round(count * share))

const isBesideHere = !lacking('root', 'containerd', 'runc')
if (!isBesideHere) console.error('SKIPPED: kills and power cuts beside containerd, which is not here')

const cases: Partial<Record<(typeof CASES)[number], () => Promise<Tally>>> = {
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
const tallies: Tally[] = []
for (const name of only ?? CASES) {
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
