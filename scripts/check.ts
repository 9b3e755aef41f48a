/** `npm run check`: the static checks alone, in a few seconds. */
import { staticChecks } from './static-checks.ts'

const { failed } = staticChecks()
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`)
  process.exitCode = 1
}
