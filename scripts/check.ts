/** `npm run check`: the static checks alone, in a few seconds. */
import { optionsOf } from './options.ts'
import { staticChecks } from './static-checks.ts'

optionsOf({
  command: 'npm run check',
  about: 'Style and lint (biome), types (tsc), and no test.',
  takes: 'seconds',
  options: {},
})

const { failed } = staticChecks()
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`)
  process.exitCode = 1
}
