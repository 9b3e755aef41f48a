/** `npm run figures`: all records at once. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { optionsOf } from './options.ts'

const RECORDS = [
  ['bench/bench.ts', '--write'],
  ['bench/scale/scale.ts', '--write'],
  ['bench/ranges.ts'],
  ['bench/latency.ts'],
] as const

optionsOf({
  command: 'npm run figures',
  about: 'All records, one after the other: npm run bench and npm run scale with --write, npm run ranges, npm run latency.',
  takes: 'an hour, on a machine that has nothing else to do',
  needs: 'what those need, by their own --help',
  options: {},
})
const top = join(import.meta.dirname, '..')
for (const record of RECORDS) {
  const { status } = spawnSync(process.execPath, record, { cwd: top, stdio: 'inherit' })
  if (status === 0) continue
  process.exitCode = status ?? 1
  break
}
