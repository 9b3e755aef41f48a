/** `npm run steady`: how soon a daemon answers while it pulls, and what it holds after thousands of pulls. */
import { optionsOf, whole } from '../../scripts/options.ts'
import { misses, tables } from './report.ts'
import { runSteady } from './run.ts'

const { cycles, pulls, images, rounds, mib } = optionsOf({
  command: 'npm run steady',
  about: `How soon a daemon answers while it pulls, beside many images, and whether it holds more after thousands of pulls and removals than
    before. Fails beyond its gates.`,
  takes: 'ten minutes',
  root: true,
  needs: 'mkfs.ext4 and loop devices; at most 7 GiB in the temporary directory',
  options: {
    cycles: whole('N', 5000, 'pulls and removals, one after the other'),
    pulls: whole('N', 10, 'pulls at once while it is asked'),
    images: whole('N', 1000, 'images that are there'),
    rounds: whole('N', 3, 'times those pulls'),
    mib: whole('MIB', 64, 'size of each image that is pulled'),
  },
  examples: [['--cycles 80 --images 50 --rounds 1 --mib 8', 'a look, in a minute']],
})
const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('stopped by SIGINT')))
const steady = await runSteady({
  ...{ fs: 'ext4', images, pulls, cycles, readings: 10, rounds, idleMs: 3000, imageMib: mib },
  signal: stop.signal,
  onProgress: (text) => console.error(text),
})
console.log(tables(steady, cycles))
const missed = misses(steady)
for (const each of missed) console.error(`MISSED ${each}`)
process.exitCode = missed.length === 0 ? 0 : 1
