/** `npm run memory`: what a daemon holds while it pulls many images at once. */
import { loadavg } from 'node:os'
import { optionsOf, whole, wholes } from '../../scripts/options.ts'
import { misses, table } from './report.ts'
import { runMemory } from './run.ts'

const { pulls, mib, idle } = optionsOf({
  command: 'npm run memory',
  about: `What a daemon and its processes hold while it pulls many images at once, and idle before and after: all of it, with shared pages
    shared out, and what is anonymous.`,
  takes: 'two minutes for each size',
  root: true,
  needs: 'docker-registry; 3 × pulls × MiB in the temporary directory and in memory',
  options: {
    pulls: whole('N', 16, 'images that are pulled at once, which share nothing'),
    mib: wholes('MIB', [64], 'size of each of them'),
    idle: whole('SECONDS', 45, 'without work, until it is called idle'),
  },
  examples: [['--mib 16 --mib 64 --mib 192', 'whatever the size of the layers: they are not part of it']],
})
const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('stopped by SIGINT')))
for (const imageMib of mib) {
  const onProgress = (text: string): void => console.error(text)
  const memory = await runMemory({ pulls, imageMib, idleMs: idle * 1000, signal: stop.signal, onProgress })
  console.log(`\n${pulls} pulls at once, each of ${imageMib} MiB; load ${loadavg()[0]?.toFixed(1)}\n${table(memory)}`)
  for (const missed of misses(memory)) {
    console.error(`MISSED ${missed}`)
    process.exitCode = 1
  }
}
