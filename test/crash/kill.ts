/** `npm run kill`: a daemon killed at random points. */
import { flag, optionsOf, whole } from '../../scripts/options.ts'
import { runKills } from './killing.ts'
import { isClean, table } from './tally.ts'

const { beside, count, seed } = optionsOf({
  command: 'npm run kill',
  about:
    'A daemon killed at random points, started again, and compared with what it had answered. Fails where anything is lost or half there.',
  takes: 'half an hour or more',
  root: true,
  needs: 'with --beside containerd and runc',
  options: {
    beside: flag('beside a containerd, which is killed too'),
    count: whole('N', 500, 'kills'),
    seed: whole('N', 1, 'the same seed kills at the same points, as far as clocks allow'),
  },
  examples: [['--count 20', 'a look, in minutes']],
})
const { signal } = new AbortController()
const tally = await runKills(count, seed, {
  signal,
  beside,
  onRun: ({ runs }) => runs % 25 === 0 && console.log(`${runs} kills …`),
})
console.log(table([tally]))
process.exitCode = isClean(tally) ? 0 : 1
