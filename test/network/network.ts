/** `npm run network`: pulls over a bad network, `-- --pulls 100 --parallel 4 --megabytes 8 --seed 1`. Fails unless all of them succeed. */
import { parseArgs } from 'node:util'
import { describe } from '../../src/failure/failure.ts'
import { bad, pullThrough, twice } from './run.ts'

const { values } = parseArgs({
  options: {
    pulls: { type: 'string', default: '100' },
    parallel: { type: 'string', default: '4' },
    megabytes: { type: 'string', default: '8' },
    seed: { type: 'string', default: '1' },
  },
})
const pulls = Number(values.pulls)
const bytes = Number(values.megabytes) * 1_000_000
const outcome = await pullThrough(bad, { pulls, parallel: Number(values.parallel), bytes, seed: Number(values.seed) })
const share = twice(outcome)
console.log(
  `network    ${bad.roundTripMs} ms round trip, ${bad.cuts * 100} % of pieces of 64 KiB cut the connection, ${bad.unavailable * 100} % of requests 503`,
)
console.log(
  `network    ${outcome.pulled} of ${pulls} pulls, ${(outcome.wanted / 1e6).toFixed(0)} MB in ${outcome.seconds.toFixed(0)} s; ${outcome.cuts} cuts, ${outcome.refusals} refusals; ${(share * 100).toFixed(1)} % of the bytes more than once`,
)
for (const failure of outcome.failures) console.log(`failed     ${describe(failure)}`)
process.exitCode = outcome.pulled === pulls && share <= 0.05 ? 0 : 1
