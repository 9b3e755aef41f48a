/** `npm run kill -- --count 500 --seed 1 [--beside]`: a daemon, with `--beside` containerd too, killed at random points, started again, and compared with what it had answered. */
import { parseArgs } from 'node:util'
import { runKills } from './killing.ts'
import { isClean, table } from './tally.ts'

const { values } = parseArgs({
  options: {
    beside: { type: 'boolean', default: false },
    count: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
  },
})
const { signal } = new AbortController()
const { beside } = values
const tally = await runKills(Number(values.count), Number(values.seed), {
  signal,
  beside,
  onRun: ({ runs }) => runs % 25 === 0 && console.log(`${runs} kills …`),
})
console.log(table([tally]))
process.exitCode = isClean(tally) ? 0 : 1
