/**
 * `npm run steady -- --cycles 5000 --pulls 10 --images 1000`: how soon a daemon answers while it pulls, and whether it holds more after
 * thousands of pulls than before. It needs root and ext4, 7 GiB below TMPDIR at most, and takes about ten minutes.
 */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { misses, tables } from './report.ts'
import { runSteady } from './run.ts'

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '5000' },
    pulls: { type: 'string', default: '10' },
    images: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
    mib: { type: 'string', default: '64' },
  },
})
const number = z.coerce.number().int().positive()
const { cycles, pulls, images, rounds, mib } = z
  .object({ cycles: number, pulls: number, images: number, rounds: number, mib: number })
  .parse(values)
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
