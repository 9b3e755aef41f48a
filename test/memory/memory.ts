/**
 * `npm run memory -- --pulls 16 --mib 64`: what a daemon holds while it pulls so many images at once, and idle before and after. It needs root
 * and docker-registry, and 3 × pulls × mib below TMPDIR and in memory. `--mib 16 --mib 256` shows that blobs do not count.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { misses, table } from './report.ts'
import { runMemory } from './run.ts'

const { values } = parseArgs({
  options: {
    pulls: { type: 'string', default: '16' },
    mib: { type: 'string', multiple: true, default: ['64'] },
    idle: { type: 'string', default: '45' },
  },
})
const number = z.coerce.number().int().positive()
const { pulls, mib, idle } = z.object({ pulls: number, mib: z.array(number), idle: number }).parse(values)
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
